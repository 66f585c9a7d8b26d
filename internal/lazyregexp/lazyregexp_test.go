package lazyregexp

import "testing"

func TestExpressionsAreCompiledOnce(t *testing.T) {
	number := New(`^[0-9]+$`)
	first, again := number(), number()
	if first != again || !first.MatchString("12") || first.MatchString("12a") {
		t.Errorf("%v and %v", first, again)
	}
}

func TestInvalidExpressionsFailAtOnceInTests(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	New(`(`)
}
