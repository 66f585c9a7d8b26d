package nix

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestClosuresAreReadOnce(t *testing.T) {
	n := requireNix(t)
	calls := recordCalls(t)
	ctx := context.Background()
	var added []string
	for i := range 3 {
		file := filepath.Join(t.TempDir(), fmt.Sprint("file", i))
		if err := os.WriteFile(file, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		source, err := n.AddSource(ctx, file)
		if err != nil {
			t.Fatal(err)
		}
		added = append(added, source.Path)
	}
	slices.Sort(added)
	dumped := func() (all []string) {
		for _, words := range calls() {
			if slices.Contains(words, "--dump-db") {
				all = append(all, slices.DeleteFunc(words, func(word string) bool { return !strings.HasPrefix(word, "/nix/store/") })...)
			}
		}
		return all
	}
	for _, paths := range [][]string{added[:2], added[1:], added, nil} {
		store, err := n.ReadStore(ctx, paths)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(slices.Clone(paths), slices.Sorted(maps.Keys(store))); diff != "" {
			t.Errorf("wanted, read: %s", diff)
		}
		for _, path := range paths {
			if got := store[path]; got.Path != path || got.NarSize == 0 {
				t.Errorf("%s is %+v", path, got)
			}
		}
	}
	if diff := cmp.Diff(added, slices.Sorted(slices.Values(dumped()))); diff != "" {
		t.Errorf("added, asked for: %s", diff)
	}
	if _, err := n.ReadStore(ctx, []string{"/nix/store/" + strings.Repeat("0", 32) + "-none"}); err == nil || !strings.HasPrefix(err.Error(), "reading the closure of /nix/store/0000") {
		t.Errorf("of a path that is not valid: %v", err)
	}
}
