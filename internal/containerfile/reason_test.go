package containerfile

import (
	"errors"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/text"
)

// FuzzReason finds the cause of a failure in what an engine and a stranger's steps print.
func FuzzReason(f *testing.F) {
	f.Fuzz(func(t *testing.T, printed string) {
		var tail []string
		for line := range strings.Lines(printed) {
			tail = append(tail, text.OutputLine(line))
		}
		if why := reason(tail, errors.New("exit status 1")); strings.ContainsFunc(why, func(r rune) bool { return r == '\n' || text.Harmful(r) }) {
			t.Errorf("%q", why)
		}
	})
}
