package review

import (
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/testkit"
)

// sourceFiles is a source: contents by path. A path that ends with / is a folder. A content
// that begins with "-> " is a link.
type sourceFiles map[string]string

func (f sourceFiles) write(t *testing.T, folder string) string {
	t.Helper()
	for name, content := range f {
		at := filepath.Join(folder, name)
		err := os.MkdirAll(filepath.Dir(at), 0o755)
		target, isLink := strings.CutPrefix(content, "-> ")
		switch {
		case err != nil:
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(at, 0o755)
		case isLink:
			err = os.Symlink(target, at)
		default:
			err = os.WriteFile(at, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(f) == 0 {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func (f sourceFiles) fs(t *testing.T) fs.FS { return os.DirFS(f.write(t, t.TempDir())) }

func (f sourceFiles) with(name, content string) sourceFiles {
	f = maps.Clone(f)
	f[name] = content
	return f
}

// makePatch makes the patch from one source to another.
func makePatch(t *testing.T, from, to sourceFiles) []byte {
	t.Helper()
	testkit.Require(t, "diff")
	dir := t.TempDir()
	from.write(t, filepath.Join(dir, "a"))
	to.write(t, filepath.Join(dir, "b"))
	cmd := exec.Command("diff", "-ruN", "a", "b")
	cmd.Dir = dir
	out, err := cmd.Output()
	if cmd.ProcessState.ExitCode() != 1 {
		t.Fatalf("diff: %v", err)
	}
	return out
}

// numbered returns a file of n lines. The lines in other replace some of them.
func numbered(n int, other ...string) string {
	lines := make([]string, n)
	for i := range lines {
		lines[i] = strconv.Itoa(i + 1)
	}
	for _, o := range other {
		line, text, _ := strings.Cut(o, "=")
		at, _ := strconv.Atoi(line)
		lines[at-1] = text
	}
	return strings.Join(lines, "\n") + "\n"
}

// buildSource runs nix/change-source.sh as a derivation does. It returns the output folder, or
// the error output.
func buildSource(t *testing.T, shell, source string, changes []Change) (out, failure string) {
	t.Helper()
	script, err := filepath.Abs("../../../nix/change-source.sh")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	env := []string{"fetched=" + source, "out=" + filepath.Join(dir, "out"), "TMPDIR=" + dir, "app=docs", "changes=" + strconv.Itoa(len(changes))}
	for i, c := range changes {
		n := strconv.Itoa(i)
		switch c.Kind {
		case PatchChange:
			at := filepath.Join(dir, n+"-"+c.Name)
			if err := os.WriteFile(at, c.Patch, 0o644); err != nil {
				t.Fatal(err)
			}
			env = append(env, "patch_"+n+"="+at)
		case SubstituteChange:
			env = append(env, "file_"+n+"="+c.File, "from_"+n+"_0="+c.From, "to_"+n+"_0="+c.To)
		case AddChange:
			env = append(env, "file_"+n+"="+c.File, "add_"+n+"="+c.Added)
		}
	}
	cmd := exec.Command("bash", "-e", script)
	if shell == "busybox" {
		box, err := exec.LookPath("busybox")
		if err != nil {
			t.Fatal(err)
		}
		bin := filepath.Join(dir, "bin")
		if err := os.Mkdir(bin, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, applet := range []string{"cp", "chmod", "mkdir", "dirname", "awk", "cat", "patch", "rm", "ash"} {
			if err := os.Symlink(box, filepath.Join(bin, applet)); err != nil {
				t.Fatal(err)
			}
		}
		cmd = exec.Command(filepath.Join(bin, "ash"), "-e", script)
		cmd.Env = append(env, "PATH="+bin)
	} else {
		cmd.Env = append(env, "PATH="+os.Getenv("PATH"))
	}
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", string(output)
	}
	return filepath.Join(dir, "out"), ""
}

// compareTrees compares the files that a check has in memory with those that a build made.
func compareTrees(t *testing.T, before, after fs.FS, changes []Change, out string) {
	t.Helper()
	p := checker{before, after, newTree(after)}
	for _, c := range changes {
		if _, err := p.checkChange(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	for name, e := range p.tree.changed {
		info, err := os.Lstat(filepath.Join(out, name))
		if e == nil {
			if err == nil {
				t.Errorf("%s: there after the build", name)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want, _ := os.ReadFile(filepath.Join(out, name))
		got, err := p.tree.read(name)
		if err != nil || string(got) != string(want) || info.Mode()&0o100 != e.mode&0o100 {
			t.Errorf("%s: %q %v, after the build %q %v, %v", name, got, e.mode, want, info.Mode(), err)
		}
	}
}

// However upstream changes the lines around a patch, the verdict agrees with the build.
func TestCheckChangesAgreesWithBuild(t *testing.T) {
	testkit.Require(t, "patch", "bash")
	seen := map[Verdict]int{}
	for seed := range uint64(40) {
		random := rand.New(rand.NewPCG(seed, 1))
		edit := func(content string, n int) string {
			lines := strings.SplitAfter(content, "\n")
			for range n {
				at := random.IntN(len(lines) - 1)
				switch random.IntN(3) {
				case 0:
					lines[at] = fmt.Sprintf("%d\n", random.IntN(50))
				case 1:
					lines = slices.Insert(lines, at, "inserted\n")
				default:
					lines = slices.Delete(lines, at, at+1)
				}
			}
			return strings.Join(lines, "")
		}
		was := sourceFiles{"a.txt": numbered(30), "b.txt": numbered(30)}
		ours := sourceFiles{"a.txt": edit(was["a.txt"], 2), "b.txt": edit(was["b.txt"], 1)}
		now := sourceFiles{"a.txt": edit(was["a.txt"], 1), "b.txt": edit(was["b.txt"], 1)}
		if seed%4 == 0 {
			now["a.txt"] = ours["a.txt"]
		}
		if seed%8 == 0 {
			now["b.txt"] = edit(ours["b.txt"], 1)
		}
		source := now.write(t, t.TempDir())
		changes := []Change{patchOf(makePatch(t, was, ours))}
		checks, err := CheckChanges(t.Context(), nil, os.DirFS(source), changes)
		if err != nil {
			t.Fatal(err)
		}
		seen[checks[0].Verdict]++
		out, failure := buildSource(t, "bash", source, changes)
		if checks[0].Breaks() != (failure != "") {
			t.Errorf("seed %d: %s, but the build says: %s", seed, checks[0], failure)
		} else if failure == "" {
			compareTrees(t, nil, os.DirFS(source), changes, out)
		} else if checks[0].Verdict == Fails && len(checks[0].Places) == 0 {
			t.Errorf("seed %d: no place in %s", seed, checks[0])
		}
	}
	for _, verdict := range []Verdict{Applies, AppliesFuzz, InUpstream, Fails} {
		if seen[verdict] == 0 {
			t.Errorf("never seen: %s in %v", verdict, seen)
		}
	}
}
