package build

import (
	"errors"
	"slices"
	"testing"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/containerfile"
	"github.com/libresh/libre/internal/release"
)

// Everything that an engine lacks is on a line of its own, below the single reason in the table.
func TestProblemsOfAContainerfileAreALineEach(t *testing.T) {
	target := &release.Target{Specs: []*catalog.Spec{{Content: &catalog.ContainerfileImage{}}}}
	one, two, three := errors.New("Containerfile:3: one"), errors.New("Containerfile:4: two"), errors.New("Containerfile:9: three")
	for _, test := range []struct {
		err    error
		reason string
		tail   []string
	}{
		{one, "Containerfile:3: one", nil},
		{errors.Join(one), "Containerfile:3: one", nil},
		{errors.Join(one, two), "Containerfile:3: one; and 1 more", []string{one.Error(), two.Error()}},
		{errors.Join(one, errors.Join(two, three)), "Containerfile:3: one; and 2 more", []string{one.Error(), two.Error(), three.Error()}},
		{&containerfile.Error{Doing: "build Containerfile:3", Reason: "exit status 1", Err: one, Tail: []string{"of the engine"}}, "build Containerfile:3: exit status 1", []string{"of the engine"}},
	} {
		got := failureOf(test.err, target)
		if got.Error() != test.reason || !slices.Equal(got.Tail, test.tail) || got.Step != string(StepContainerfile) {
			t.Errorf("%v\ngot  %q %q", test.err, got, got.Tail)
		}
	}
}
