package template

import (
	"path/filepath"
	"testing"
)

// The module files are complete and tidy, and the components' own tests pass, in a user's
// catalogue.
func TestModuleFilesAreCompleteAndTidy(t *testing.T) {
	dir := copyGuestbook(t)
	for _, component := range []string{"backend", "webserver"} {
		t.Run(component, func(t *testing.T) {
			module := filepath.Join(dir, component)
			runGo(t, module, "mod", "tidy", "-diff")
			runGo(t, module, "test", "-mod=readonly", "./...")
		})
	}
}
