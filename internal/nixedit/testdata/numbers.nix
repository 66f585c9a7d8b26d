{
  zero = 0;
  leading = 007;
  big = 9223372036854775807;
  float = 1.5;
  small = .5;
  exponent = 1.0e3;
  negative = -3;
  sum = 1+1;
  minus = 3 -1;
  packageVersion = 12;
}
