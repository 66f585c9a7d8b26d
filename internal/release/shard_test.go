package release

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/libresh/libre/internal/catalog"
)

func TestShardsAreReadOrRefused(t *testing.T) {
	for text, want := range map[string]Shard{"1/1": {1, 1}, "3/8": {3, 8}, "1000/1000": {1000, 1000}} {
		if got, err := ParseShard(text); got != want || err != nil {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "3", "0/8", "9/8", "-1/8", "3/8/9", "a/b", "1/1001", "3 /8", "1/0"} {
		if got, err := ParseShard(text); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}

// Each group is in exactly one shard, regardless of the other groups, and no shard has most of
// them.
func TestEachGroupIsInOneShard(t *testing.T) {
	counts := map[int]int{}
	for n := range 800 {
		group, in := fmt.Sprintf("app%d", n), 0
		for number := 1; number <= 8; number++ {
			if (Shard{number, 8}).Has(group) {
				in++
				counts[number]++
			}
		}
		if in != 1 || !(Shard{}).Has(group) {
			t.Errorf("%s is in %d shards", group, in)
		}
	}
	for number, count := range counts {
		if count < 60 || count > 140 {
			t.Errorf("shard %d has %d of 800 groups", number, count)
		}
	}
	if !(Shard{3, 8}).Has("docs") {
		t.Error("docs is in another shard than it was: runs of two versions of libre would publish it twice, or not at all")
	}
}

func TestAppsThatAreBuiltOnEachOtherAreTogether(t *testing.T) {
	on := func(app string, bases ...string) *Target {
		file := &catalog.ContainerfileImage{Bases: map[string]catalog.Base{}}
		for _, base := range bases {
			file.Bases[base] = catalog.Base{Image: &catalog.Spec{App: base, Content: &catalog.NixImage{}}}
		}
		return &Target{ID: catalog.ID{App: app}, Specs: []*catalog.Spec{{App: app, Content: file}}}
	}
	got := Groups([]*Target{on("roof", "walls"), on("walls", "ground"), on("ground"), on("door", "walls", "zinc"), on("zinc"), on("alone"), on("alone", "alone")})
	want := map[string]string{"roof": "ground", "walls": "ground", "ground": "ground", "door": "ground", "zinc": "ground", "alone": "alone"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
