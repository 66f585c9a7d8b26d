package prune

import (
	"fmt"
	"testing"
	"time"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/sign"
)

func TestReleasesOfUnknownAgeStay(t *testing.T) {
	h := newHouse(t, memory(t))
	for n := range 2 {
		h.publish("docs", fmt.Sprint(n+1), "", 100*day)
	}
	h.detach("1")
	plan := h.plan(Rule{Keep: 1})
	if len(plan.Releases) != 0 || len(plan.Kept) != 1 || plan.Kept[0].Reason != "its age is unknown: nothing that is attached to its record has a date" {
		t.Errorf("%+v", plan)
	}
}

// detach deletes what is attached to the record of a release of docs.
func (h *house) detach(version string) {
	h.Helper()
	w, err := h.pruner().read(h.Context())
	check(h, err)
	r, err := w.release(h.Context(), catalog.RecordRef("docs", "default", version, 1))
	check(h, err)
	for _, d := range r.Digests {
		if d.Kind == "attachment" && d.Repository == "docs-default" {
			digest, err := w.digest(d.Repository, d.Digest)
			check(h, err)
			check(h, h.client.Delete(h.Context(), digest))
		}
	}
}

func TestSignaturesOfTheClassicFormatHaveADate(t *testing.T) {
	h := newHouse(t, memory(t))
	for n := range 2 {
		h.publish("docs", fmt.Sprint(n+1), "", 100*day)
	}
	h.detach("1")
	attacher := sign.NewClient(h.client, sign.Limits{}).Attacher(h.key("classic", sign.Classic))
	_, err := attacher.Sign(t.Context(), h.subject("docs-default", "1-1"))
	check(t, err)
	check(t, attacher.Write(t.Context()))
	p := h.pruner()
	for days, want := range map[int]int{6: 0, 8: 1} {
		p.Now = time.Now().AddDate(0, 0, days)
		plan, err := p.Plan(t.Context(), Rule{Keep: 1})
		check(t, err)
		if len(plan.Releases) != want {
			t.Errorf("after %d days: %+v", days, plan)
		}
	}
}
