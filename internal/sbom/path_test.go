package sbom_test

import (
	"slices"
	"testing"

	"github.com/libresh/libre/internal/sbom"
)

func TestPathsToComponentsAreTheShortest(t *testing.T) {
	document := &sbom.Document{
		DependsOn: []string{"app", "files"},
		Components: []sbom.Component{
			{ID: "app", DependsOn: []string{"python", "gone"}},
			{ID: "python", DependsOn: []string{"app", "ssl", "libc"}},
			{ID: "files", DependsOn: []string{"libc"}},
			{ID: "ssl", DependsOn: []string{"libc", "ssl"}},
			{ID: "libc"},
			{ID: "lost", DependsOn: []string{"libc"}},
		},
	}
	for id, want := range map[string][]string{
		"app":  {"app"},
		"ssl":  {"app", "python", "ssl"},
		"libc": {"files", "libc"},
		"lost": nil,
		"gone": nil,
	} {
		if got := document.Paths().To(id); !slices.Equal(got, want) {
			t.Errorf("the way to %s is %q, want %q", id, got, want)
		}
	}
}
