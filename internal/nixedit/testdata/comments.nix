/* before */ { # after the brace
  /* a */ version /* b */ = /* c */ "1.0" /* d */ ; /* e */
  # hash = "not this one";
  hash # the name
    = # the sign
    # "a decoy"
    "sha256-x" # the value
    /* ; */ # not the end
    ; # the end
  /**/ empty = /***/ "1" /* ** */;
  /* multi
     line ; = "x" ' '' ${ */ after = 3; #no space
  last = "1.0"; }
# the end "
