package build

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/libresh/libre/internal/testkit"
)

// The package set is asked only once about the contents of all described images. The answer has
// as many facts as the answers for each app.
func TestImagesAreDescribedByOneEvaluation(t *testing.T) {
	t.Parallel()
	c := demo(t)
	path, evaluations := testkit.CountCalls(t, "nix", "eval")
	c.env = append(c.env, path)
	c.libre(t, "sbom", "guestbook/backend/default", "-o", "cyclonedx-json")
	alone := evaluations()
	for _, selection := range []string{"guestbook/*/default", "guestbook/backend/*", "guestbook/*/*"} {
		c.libre(t, "sbom", selection, "-o", "cyclonedx-json")
		if got := evaluations(); got != alone {
			t.Errorf("%s needs %d evaluations, one image %d", selection, got, alone)
		}
	}
	together, _ := c.libre(t, "licenses", "guestbook/*/*", "pocketbase/*/*")
	if got := evaluations(); got != alone {
		t.Errorf("two apps need %d evaluations, one image %d", got, alone)
	}
	var each []string
	for _, app := range []string{"guestbook", "pocketbase"} {
		stdout, _ := c.libre(t, "licenses", app+"/*/*")
		each = append(each, stdout)
	}
	if diff := cmp.Diff(componentsOf(each...), componentsOf(together)); diff != "" {
		t.Errorf("what is known of apps alone, and together: %s", diff)
	}
}

func TestImagesAreKeptInTheStoreByOneCall(t *testing.T) {
	t.Parallel()
	definition := `{ mkApp, pkgs, ... }: mkApp { name = "texts"; version = "1"; packageVersion = 1;
`
	for i := range 5 {
		definition += fmt.Sprintf("  components.part%d.package = pkgs.writeText \"part\" \"%d of %s\";\n", i, i, t.Name())
	}
	c := catalogue{dir: libre.Catalogue(t, map[string]string{"texts/default.nix": definition + "}\n"}, "x86_64-linux")}
	c.libre(t, "build", "texts/*/*")
	path, calls := testkit.CountCalls(t, "nix-store", "--realise")
	c.env = append(c.env, path)
	for _, selection := range []string{"texts/part0/default", "texts/*/default", "texts/*/*"} {
		c.libre(t, "licenses", selection)
		if got := calls(); got != 1 {
			t.Errorf("%s: %d calls", selection, got)
		}
	}
}

// componentsOf returns the distinct components in lists of licences, without their images.
func componentsOf(lists ...string) map[string]bool {
	all := map[string]bool{}
	for _, list := range lists {
		for line := range strings.Lines(list) {
			all[strings.Join(strings.Split(line, "\t")[:4], " ")] = true
		}
	}
	return all
}
