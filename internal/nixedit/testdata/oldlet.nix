let {
  ver = "1.0";
  body = { version = ver; literal = "2.0"; packageVersion = 1; };
}
