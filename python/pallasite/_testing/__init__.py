"""The machinery behind `pallasite.testclient`. Nothing here is imported by an application that serves."""
