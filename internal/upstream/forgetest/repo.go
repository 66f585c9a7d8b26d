package forgetest

import (
	"bufio"
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/libresh/libre/internal/testkit"
)

// Repo is a repository on a forge.
type Repo struct {
	Dir string // bare repository; "" if there are only tags

	f        *Forge
	id       int
	name     string // owner/name
	private  bool
	listed   []Tag
	releases []Release
	tagsOnly bool // releases are switched off
	pulls    []*Pull
	labels   []string // Forgejo's numbers are the index + 1
	commits  int
}

// Tag is a tag of a repository without commits.
type Tag struct {
	Name   string
	Commit string
	Date   time.Time
}

// Release is a release or a draft.
type Release struct {
	Tag        string
	Name       string
	Notes      string
	Draft      bool
	Prerelease bool
	Date       time.Time
}

// AddRepo creates a repository with a first commit on its branch main.
func (f *Forge) AddRepo(name string) *Repo {
	f.t.Helper()
	testkit.Require(f.t, "git")
	r := f.add(name)
	r.Dir = filepath.Join(f.root, fmt.Sprintf("%d.git", r.id))
	run(f, "", "git", "init", "--quiet", "--bare", "--initial-branch=main", r.Dir)
	r.git("", "config", "http.receivepack", "true")
	r.Commit(map[string]string{"README.md": "# " + name + "\n"})
	return r
}

// AddTags creates a repository that has tags with any names, and no content. The server
// answers for it without git. So tags can have names that git refuses and the commits of
// real tags, and tests can have many repositories.
func (f *Forge) AddTags(name string, tags []Tag) *Repo {
	r := f.add(name)
	r.listed = tags
	return r
}

// ReadTags reads lines of a tag's name, commit and date, separated by tabs.
func ReadTags(file string) ([]Tag, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var tags []Tag
	for line := range strings.Lines(string(content)) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(fields) != 3 {
			return nil, fmt.Errorf("%s: %q, expected a name, a commit and a date", file, line)
		}
		date, err := time.Parse(time.DateOnly, fields[2])
		if err != nil {
			return nil, err
		}
		tags = append(tags, Tag{fields[0], fields[1], date})
	}
	return tags, nil
}

func (f *Forge) add(name string) *Repo {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := &Repo{f: f, id: len(f.byID) + 1, name: name}
	f.repos[strings.ToLower(name)], f.byID[r.id] = r, r
	return r
}

// Remove removes the repository from the forge.
func (r *Repo) Remove() {
	r.f.mu.Lock()
	defer r.f.mu.Unlock()
	delete(r.f.repos, strings.ToLower(r.name))
	delete(r.f.byID, r.id)
}

// Rename renames a repository. The old name redirects.
func (r *Repo) Rename(name string) {
	r.f.mu.Lock()
	defer r.f.mu.Unlock()
	delete(r.f.repos, strings.ToLower(r.name))
	r.f.renamed[strings.ToLower(r.name)] = strings.ToLower(name)
	r.name = name
	r.f.repos[strings.ToLower(name)] = r
}

// SetPrivate hides a repository from requests without a token.
func (r *Repo) SetPrivate() {
	r.f.mu.Lock()
	defer r.f.mu.Unlock()
	r.private = true
}

// SwitchReleasesOff makes it a repository with tags only, as the settings of Forgejo can.
func (r *Repo) SwitchReleasesOff() {
	r.f.mu.Lock()
	defer r.f.mu.Unlock()
	r.tagsOnly = true
}

// AddRelease publishes a release or saves a draft.
func (r *Repo) AddRelease(release Release) {
	r.f.mu.Lock()
	defer r.f.mu.Unlock()
	r.releases = append(r.releases, release)
}

// SetTags replaces the tags of a repository without content.
func (r *Repo) SetTags(tags []Tag) {
	r.f.mu.Lock()
	defer r.f.mu.Unlock()
	r.listed = tags
}

// CloneURL returns the URL for git.
func (r *Repo) CloneURL() string { return r.f.URL + "/" + r.name + ".git" }

// Commit changes files on main and returns the commit. The content "" deletes a file.
func (r *Repo) Commit(files map[string]string) string { return r.CommitTo("main", files) }

// CommitTo changes files on a branch and returns the commit. It creates a new branch from
// main.
func (r *Repo) CommitTo(branch string, files map[string]string) string {
	r.f.t.Helper()
	r.commits++
	var in bytes.Buffer
	fmt.Fprintf(&in, "commit refs/heads/%s\n", branch)
	fmt.Fprintf(&in, "committer Upstream <upstream@example.org> %d +0000\n", 1_700_000_000+r.commits)
	fmt.Fprintf(&in, "data 7\nChange\n\n")
	for _, from := range []string{branch, "main"} {
		if r.has("refs/heads/" + from) {
			fmt.Fprintf(&in, "from refs/heads/%s^0\n", from)
			break
		}
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if files[path] == "" {
			fmt.Fprintf(&in, "D %s\n", path)
			continue
		}
		fmt.Fprintf(&in, "M 100644 inline %s\ndata %d\n%s\n", path, len(files[path]), files[path])
	}
	r.git(in.String(), "fast-import", "--quiet", "--date-format=raw")
	return r.git("", "rev-parse", "refs/heads/"+branch)
}

// CommitToFork returns a commit of somebody's pull request, on top of main. The forge
// serves it under the address of this repository, but no branch or tag of the repository
// leads to it.
func (r *Repo) CommitToFork(files map[string]string) string {
	r.f.t.Helper()
	const branch = "of-a-fork"
	commit := r.CommitTo(branch, files)
	r.git("", "update-ref", "refs/pull/1/head", commit)
	r.git("", "update-ref", "-d", "refs/heads/"+branch)
	return commit
}

// Tag sets a tag, which may exist already, to a commit.
func (r *Repo) Tag(name, commit string) {
	r.f.t.Helper()
	r.git("", "update-ref", "refs/tags/"+name, commit)
}

// TagAnnotated creates an annotated tag. Its object differs from its commit.
func (r *Repo) TagAnnotated(name, commit string) {
	r.f.t.Helper()
	r.git("", "-c", "user.name=Upstream", "-c", "user.email=upstream@example.org",
		"tag", "--force", "--annotate", "--message=Release", "--", name, commit)
}

// DeleteTag deletes a tag.
func (r *Repo) DeleteTag(name string) {
	r.f.t.Helper()
	r.git("", "update-ref", "-d", "refs/tags/"+name)
}

// Branch creates or moves a branch.
func (r *Repo) Branch(name, commit string) {
	r.f.t.Helper()
	r.git("", "update-ref", "refs/heads/"+name, commit)
}

// ref is a tag with what the API and git return for it.
type ref struct {
	name, object, commit string
	date                 time.Time // of the commit
}

// refs returns the tags, sorted by name.
func (r *Repo) refs() []ref {
	var found []ref
	if r.Dir == "" {
		for _, tag := range r.listed {
			found = append(found, ref{tag.Name, tag.Commit, tag.Commit, tag.Date})
		}
		return found
	}
	out := r.git("", "for-each-ref", "refs/tags",
		"--format=%(objectname)%09%(*objectname)%09%(committerdate:unix)%(*committerdate:unix)%09%(refname:lstrip=2)")
	lines := bufio.NewScanner(strings.NewReader(out))
	for lines.Scan() {
		fields := strings.SplitN(lines.Text(), "\t", 4)
		tag := ref{name: fields[3], object: fields[0], commit: fields[1]}
		if tag.commit == "" {
			tag.commit = tag.object
		}
		var seconds int64
		fmt.Sscan(fields[2], &seconds)
		tag.date = time.Unix(seconds, 0).UTC()
		found = append(found, tag)
	}
	return found
}

// has reports whether a reference exists.
func (r *Repo) has(reference string) bool {
	return exec.Command("git", "-C", r.Dir, "rev-parse", "--quiet", "--verify", "--end-of-options", reference+"^0").Run() == nil
}

// git runs git in the repository and returns its output without the final newline.
func (r *Repo) git(stdin string, arguments ...string) string {
	r.f.t.Helper()
	return run(r.f, stdin, "git", append([]string{"-C", r.Dir}, arguments...)...)
}

func run(f *Forge, stdin, program string, arguments ...string) string {
	f.t.Helper()
	command := exec.Command(program, arguments...)
	command.Stdin = strings.NewReader(stdin)
	var said bytes.Buffer
	command.Stderr = &said
	out, err := command.Output()
	if err != nil {
		f.t.Errorf("%s %q: %v\n%s", program, arguments, err, said.String())
	}
	return strings.TrimSuffix(string(out), "\n")
}
