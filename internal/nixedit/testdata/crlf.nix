# line ends of Windows
{
  version = "1.0"; # comment
  text = ''
    x
  '';
  multi = "a
  b";
  hash
    =
    "sha256-x"
    ;
  packageVersion = 1;
}
