package build

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/libresh/libre/internal/testkit"
)

// However many images are described, the package set is asked once about what is in them. It knows
// as much of them as of each app alone.
func TestImagesAreDescribedByOneEvaluation(t *testing.T) {
	t.Parallel()
	c := demo(t)
	path, evaluations := testkit.CountEvaluations(t)
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

// componentsOf are the different components of lists of licences, without the images they are in.
func componentsOf(lists ...string) map[string]bool {
	all := map[string]bool{}
	for _, list := range lists {
		for line := range strings.Lines(list) {
			all[strings.Join(strings.Split(line, "\t")[:4], " ")] = true
		}
	}
	return all
}
