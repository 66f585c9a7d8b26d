package process

import (
	"context"
	"testing"
)

// os/exec copies a program's output by the buffer's own ways, if it has some.
func TestCaptureLimitsTheOutputOfAProgram(t *testing.T) {
	for _, test := range []struct {
		most   int
		end    bool
		script string
		want   string // of the output
		failed bool
	}{
		{0, false, "printf hello", "hello", false},
		{5, false, "printf hello", "hello", false},
		{4, false, "printf hello", "", true},
		{4, true, "printf hello", "ello", false},
		{100, false, "yes", "", true},
		{3, true, "seq 100000; printf end", "end", false},
	} {
		capture := &Capture{Most: test.most, End: test.end}
		command := Command(context.Background(), "sh", "-c", test.script)
		command.Stdout = capture
		err := command.Run()
		if (err != nil) != test.failed || !test.failed && capture.String() != test.want {
			t.Errorf("%s, at most %d: %v, %.20q", test.script, test.most, err, capture.String())
		}
		if over := capture.Err(); (over != nil) != test.failed {
			t.Errorf("%s, at most %d: %v", test.script, test.most, over)
		}
		if test.most > 0 && len(capture.Bytes()) > test.most+64<<10 {
			t.Errorf("%s: %d bytes are kept", test.script, len(capture.Bytes()))
		}
	}
}
