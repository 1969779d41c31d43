//! `_core.TrustedProxies`: reads what proxies say about a request, as far as they are to be believed.

use std::net::IpAddr;

use ipnet::IpNet;
use pallasite_core::forwarded::{Element, Proxies, client_of, is_prefix, parse_forwarded, parse_x_forwarded};
use pallasite_core::host::parse_host;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::header::each_value;

/// Client (address and port), whether the scheme is secure, host.
type Said<'py> = (
    Option<(Bound<'py, PyString>, u16)>,
    Option<bool>,
    Option<Bound<'py, PyBytes>>,
);

/// See `_core.pyi`.
#[pyclass(frozen, module = "pallasite._core")]
pub(crate) struct TrustedProxies {
    networks: Vec<IpNet>,
    hops: Option<usize>,
    is_rfc7239: bool,
}

#[pymethods]
impl TrustedProxies {
    #[new]
    #[pyo3(signature = (networks, hops, is_rfc7239, /))]
    fn new(networks: Vec<String>, hops: Option<usize>, is_rfc7239: bool) -> PyResult<Self> {
        let networks = networks
            .iter()
            .map(|network| {
                network
                    .parse()
                    .map_err(|_| PyValueError::new_err(format!("{network:?} is not a network such as 10.0.0.0/8")))
            })
            .collect::<PyResult<_>>()?;
        Ok(Self {
            networks,
            hops,
            is_rfc7239,
        })
    }

    #[pyo3(signature = (address, /))]
    fn trusts(&self, address: &Bound<'_, PyString>) -> bool {
        let address = address.to_str().ok().and_then(|text| text.parse::<IpAddr>().ok());
        address.is_some_and(|address| self.contains(address.to_canonical()))
    }

    #[pyo3(signature = (headers, /))]
    fn read<'py>(&self, headers: &Bound<'py, PyAny>) -> PyResult<Option<Said<'py>>> {
        let py = headers.py();
        if self.is_rfc7239 {
            let Some(field) = joined(headers, b"forwarded")? else {
                return Ok(None);
            };
            return Ok(Some(self.said(py, &parse_forwarded(&field).unwrap_or_default())));
        }
        let addresses = joined(headers, b"x-forwarded-for")?;
        let schemes = joined(headers, b"x-forwarded-proto")?;
        let hosts = joined(headers, b"x-forwarded-host")?;
        if addresses.is_none() && schemes.is_none() && hosts.is_none() {
            return Ok(None);
        }
        let [addresses, schemes, hosts] = [addresses, schemes, hosts].map(Option::unwrap_or_default);
        Ok(Some(self.said(py, &parse_x_forwarded(&addresses, &schemes, &hosts))))
    }

    #[staticmethod]
    #[pyo3(signature = (headers, /))]
    fn prefix<'py>(headers: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyString>>> {
        let field = joined(headers, b"x-forwarded-prefix")?.unwrap_or_default();
        let path = field.trim_ascii();
        let path = path.strip_suffix(b"/").unwrap_or(path);
        if !is_prefix(path) {
            return Ok(None);
        }
        PyString::from_bytes(headers.py(), path).map(Some)
    }
}

impl TrustedProxies {
    fn contains(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }

    fn said<'py>(&self, py: Python<'py>, elements: &[Element<'_>]) -> Said<'py> {
        let proxies = match self.hops {
            Some(hops) => Proxies::Count(hops),
            None => Proxies::At(|address| self.contains(address)),
        };
        let Some(element) = client_of(elements, &proxies).and_then(|index| elements.get(index)) else {
            return (None, None, None);
        };
        let client = element
            .client
            .map(|node| (PyString::new(py, &node.address.to_string()), node.port));
        let host = element.host.as_deref().filter(|host| parse_host(host).is_some());
        (client, element.is_secure, host.map(|host| PyBytes::new(py, host)))
    }
}

/// The values of all fields with a name, in lower case, as one list. None without such a field.
fn joined(headers: &Bound<'_, PyAny>, name: &[u8]) -> PyResult<Option<Vec<u8>>> {
    let mut found: Option<Vec<u8>> = None;
    each_value(headers, name, |value| {
        let value = value.cast::<PyBytes>()?.as_bytes();
        match &mut found {
            Some(found) => {
                found.extend_from_slice(b", ");
                found.extend_from_slice(value);
            }
            None => found = Some(value.to_vec()),
        }
        Ok(true)
    })?;
    Ok(found)
}
