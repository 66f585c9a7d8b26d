// Package lazyregexp compiles regular expressions when they are first used. libre has some three
// hundred of them, and a command needs a few: compiling all of them took a third of its start-up.
package lazyregexp

import (
	"os"
	"regexp"
	"strings"
	"sync"
)

// New gives a function that compiles the expression at its first call, and returns the same
// regular expression at each. It panics if the expression is not valid: at the first call, and in
// tests at once, so that none is overlooked.
func New(expression string) func() *regexp.Regexp {
	compile := sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
	if strings.HasSuffix(os.Args[0], ".test") {
		compile()
	}
	return compile
}
