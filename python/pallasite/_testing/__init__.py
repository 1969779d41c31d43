"""The machinery of `pallasite.testclient`. Nothing here is imported by an application in production."""
