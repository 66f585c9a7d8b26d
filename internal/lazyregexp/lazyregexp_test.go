package lazyregexp

import "testing"

func TestExpressionsAreCompiledOnce(t *testing.T) {
	number := New(`^[0-9]+$`)
	if number() != number() || !number().MatchString("12") || number().MatchString("12a") {
		t.Errorf("%v and %v", number(), number())
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
