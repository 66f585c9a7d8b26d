package nix

import (
	"fmt"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/catalog"
)

// However many images and paths there are, no argument of nix is too long for Linux. Each path
// of an image is asked about once, and images that share paths are in the same evaluation.
func TestInventoryAsksInPieces(t *testing.T) {
	for _, test := range []struct{ images, shared, own, most int }{
		{0, 0, 0, 0}, {1, 0, 0, 0}, {1, 1, 0, 1}, {1, 90, 0, 1}, {20, 90, 3, 1}, {200, 0, 1, 2}, {3, 3000, 10, 30}, {1, 0, 3000, 10},
	} {
		var questions []Question
		want := 0
		for image := range test.images {
			var paths []StoreName
			for i := range test.shared + test.own {
				name := fmt.Sprintf("package-with-a-name-%d", i)
				if i >= test.shared {
					name += fmt.Sprintf("-%d", image)
				}
				paths = append(paths, StoreName{Path: fmt.Sprintf("/nix/store/%032d-%s", i, name), PName: "package-with-a-name", Version: fmt.Sprint(i)})
			}
			want += len(paths)
			spec := &catalog.Spec{App: "docs", Component: fmt.Sprintf("web%d", image), Variant: "default", System: "x86_64-linux"}
			questions = append(questions, Question{spec, paths})
		}
		pieces := inventoryPieces(questions)
		if len(pieces) > test.most || len(pieces) == 0 && want > 0 {
			t.Errorf("%+v: %d pieces", test, len(pieces))
		}
		asked := map[string]int{}
		for _, p := range pieces {
			function := p.function(true)
			if len(function) > 128<<10 {
				t.Errorf("%+v: an argument of %d bytes", test, len(function))
			}
			for _, one := range p {
				for _, path := range one.Paths {
					asked[fmt.Sprintf("%d %s", one.question, path.Path)]++
					if strings.Count(function, Quote(path.Path)) != 1 {
						t.Errorf("%+v: %s is written %d times", test, path.Path, strings.Count(function, Quote(path.Path)))
					}
				}
			}
		}
		for what, times := range asked {
			if times != 1 {
				t.Errorf("%+v: %s is asked %d times", test, what, times)
			}
		}
		if len(asked) != want {
			t.Errorf("%+v: %d paths are asked about, want %d", test, len(asked), want)
		}
	}
}
