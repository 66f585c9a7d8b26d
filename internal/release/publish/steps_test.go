package publish

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/sign"
)

// A dry run only checks whether steps are done. A finished step is not repeated.
func TestDryRunOnlyAsks(t *testing.T) {
	wrong := errors.New("wrong")
	for _, test := range []struct {
		name         string
		skipped      skip
		asked, doing error
		dryRun       bool
		calls        []string
		reason       skip
		want         error
	}{
		{name: "to be done", calls: []string{"done", "do"}},
		{name: "done before", skipped: "it is there", calls: []string{"done"}, reason: "it is there"},
		{name: "asking fails", asked: wrong, calls: []string{"done"}, want: wrong},
		{name: "doing fails", doing: wrong, calls: []string{"done", "do"}, want: wrong},
		{name: "dry run, to be done", dryRun: true, calls: []string{"done"}},
		{name: "dry run, done before", dryRun: true, skipped: "it is there", calls: []string{"done"}, reason: "it is there"},
		{name: "dry run, asking fails", dryRun: true, asked: wrong, calls: []string{"done"}, want: wrong},
	} {
		t.Run(test.name, func(t *testing.T) {
			var calls []string
			publisher := &Publisher{DryRun: test.dryRun}
			reason, err := publisher.run(t.Context(), step{
				"test",
				func(context.Context) (skip, error) { calls = append(calls, "done"); return test.skipped, test.asked },
				func(context.Context) error { calls = append(calls, "do"); return test.doing },
			})
			if !slices.Equal(calls, test.calls) || reason != test.reason || !errors.Is(err, test.want) {
				t.Errorf("%q, %q, %v", calls, reason, err)
			}
		})
	}
}

// A published image gets its missing attachments and no others. Without signing it gets
// none.
func TestStepsOfAnImage(t *testing.T) {
	signed, unsigned := &state.Reader{Signing: &state.Signing{}}, &state.Reader{}
	gaps := func(kinds ...string) (all []state.Gap) {
		for _, kind := range kinds {
			all = append(all, state.Gap{Kind: kind})
		}
		return all
	}
	everything := gaps(state.CycloneDXType, state.SPDXType, state.ProvenanceType, sign.SignatureType)
	for _, test := range []struct {
		name string
		of   *imagePush
		in   *state.Reader
		todo []string
	}{
		{"new", &imagePush{gaps: everything}, signed, []string{"push", "sbom", "provenance", "sign", "attach", "verify"}},
		{"new, unsigned", &imagePush{}, unsigned, []string{"push"}},
		{"published", &imagePush{adopted: true}, signed, nil},
		{"published, unsigned", &imagePush{adopted: true}, unsigned, nil},
		{"published without an SBOM", &imagePush{adopted: true, gaps: gaps(state.SPDXType)}, signed, []string{"gather", "sbom", "attach", "verify"}},
		{"published without provenance", &imagePush{adopted: true, gaps: gaps(state.ProvenanceType)}, signed, []string{"gather", "provenance", "attach", "verify"}},
		{"published without a signature", &imagePush{adopted: true, gaps: gaps(sign.SignatureType)}, signed, []string{"gather", "sign", "attach", "verify"}},
	} {
		test.of.publisher = &Publisher{Reader: test.in}
		var todo []string
		for _, step := range test.of.steps()[1:] { // find needs a layout
			reason, err := step.done(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if reason == "" {
				todo = append(todo, step.name)
			}
		}
		if !slices.Equal(todo, test.todo) {
			t.Errorf("%s: %q, expected %q", test.name, todo, test.todo)
		}
	}
}
