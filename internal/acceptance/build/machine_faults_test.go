package build

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/libresh/libre/internal/testkit"
)

// A result that cannot be written is an error. A part of it does not count as success.
func TestFullDiskBehindStdoutIsAnError(t *testing.T) {
	t.Parallel()
	c := newCatalogue(t, map[string]string{"one/default.nix": strings.ReplaceAll(strings.ReplaceAll(namedApp, "%%", "%"), "%s", "x")})
	for _, args := range [][]string{{"list"}, {"list", "--json"}, {"build", "one/web/default"}, {"version"}} {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer full.Close()
		cmd := c.command(args...)
		cmd.Stdout = full
		log, err := cmd.StderrPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		said := new(strings.Builder)
		if _, err := io.Copy(said, log); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err == nil || strings.Count(said.String(), "no space left on device; free space with libre gc") != 1 {
			t.Errorf("%s: %v\n%s", args, err, said)
		}
	}
}

// The clock may have been wrong when files were written, or be wrong now. Caches and layouts of
// another century give the same image.
func TestFilesOfAnotherCenturyChangeNothing(t *testing.T) {
	t.Parallel()
	c := newCatalogue(t, map[string]string{"one/default.nix": strings.ReplaceAll(strings.ReplaceAll(namedApp, "%%", "%"), "%s", "x")})
	cache := libre.TempDir(t)
	c.env = append(c.env, "XDG_CACHE_HOME="+cache)
	first, _ := c.libre(t, "build", "one/web/default")
	want, _, _ := strings.Cut(first, "\t")
	for _, year := range []int{1970, 2038, 2200} {
		for _, dir := range []string{cache, c.dist()} {
			err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
				if err == nil {
					err = os.Chtimes(path, time.Time{}, time.Date(year, 1, 2, 0, 0, 0, 0, time.UTC))
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		stdout, stderr, err := testkit.Output(c.command("build", "one/web/default"))
		if got, _, _ := strings.Cut(stdout, "\t"); err != nil || got != want {
			t.Errorf("%d: %q, want %q, %v\n%s", year, got, want, err, stderr)
		}
		if err := os.RemoveAll(c.dist()); err != nil {
			t.Fatal(err)
		}
		stdout, _ = c.libre(t, "build", "one/web/default")
		if got, _, _ := strings.Cut(stdout, "\t"); got != want {
			t.Errorf("%d, without the layout: %q, want %q", year, got, want)
		}
	}
}
