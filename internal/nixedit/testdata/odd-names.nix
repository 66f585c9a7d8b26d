{
  _ = "1"; a' = "2"; b-c = "3"; d_e = "4"; inherits = "5"; letter = "6"; recipe = "7"; "if" = "8"; iff = "9";
  f'' = "10"; x86_64-linux = "11"; A = "12"; "1" = "13"; "let" = "14"; then-else = "15"; order = "16";
  g = let a'' = "17"; in a'';
}
