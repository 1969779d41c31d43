//! Tells the compiler which Python this is built for: whether it has the stable ABI, or runs threads freely.

fn main() {
    pyo3_build_config::use_pyo3_cfgs();
}
