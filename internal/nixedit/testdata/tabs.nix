{
	version = "1.0";		packageVersion = 1;
		/* éé */ utf = "2.0";
  /*	tab in a comment	*/	hash	=	"sha256-x"	;
}
