{
  "version" = "1.0";
  "with space" = "2.0";
  "dots.in.it" = "3.0";
  "esc\"aped\n\${x}" = "4.0";
  a."b.c"."d" = "5.0";
  "a"."b.c".e = 6;
  "$" = "$"; "$$" = "$${x}";
  "python:3.13" = "sha256:cc";
  or = "7.0";
  x.or = 8;
  ${"dynamic"} = "9.0";
  "inter${"pol"}ated" = "10.0";
  "" = "empty";
}
