package nix

import (
	"fmt"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/catalog"
)

// However many paths an image has, no argument of nix is too long for Linux, and each path is
// asked about once.
func TestInventoryAsksInPieces(t *testing.T) {
	spec := &catalog.Spec{App: "docs", Component: "web", Variant: "default", System: "x86_64-linux"}
	for _, count := range []int{0, 1, 90, 3000} {
		var paths []StoreName
		for i := range count {
			paths = append(paths, StoreName{Path: fmt.Sprintf("/nix/store/%032d-package-with-a-name-%d", i, i), PName: "package-with-a-name", Version: fmt.Sprint(i)})
		}
		questions := inventoryQuestions(spec, paths)
		if len(questions) > 1 && count <= 90 || len(questions) == 0 && count > 0 {
			t.Errorf("%d paths: %d questions", count, len(questions))
		}
		all := strings.Join(questions, "\n")
		for _, question := range questions {
			if len(question) > 128<<10 {
				t.Errorf("%d paths: a question of %d bytes", count, len(question))
			}
		}
		for _, path := range paths {
			if strings.Count(all, Quote(path.Path)) != 1 {
				t.Errorf("%d paths: %s is asked about %d times", count, path.Path, strings.Count(all, Quote(path.Path)))
			}
		}
	}
}
