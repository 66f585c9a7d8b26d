{
  version = ''1.2.3'';
  empty = '''';
  text = ''
    version = "9.9.9";
    ${"x"} ''${not} $${not} ''' '''' ''\n ''\${x} $'' + "";
  quote = ''a'b ' "c" '';
  dollar = ''$'';
  dollars = ''$$'';
  tricky = '' '${"x"}' '';
  nested = ''${''${"1"}''}'';
  mixed = "${''a${"b"}''}";
  lines = ''
    one
      two
  '';
  after = "1.0";
}
