package forgetest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// routeWeb adds the routes of the web site: git, archives and commits.
func (f *Forge) routeWeb(mux *http.ServeMux) {
	mux.HandleFunc("GET /{owner}/{repo}/info/refs", f.git)
	mux.HandleFunc("POST /{owner}/{repo}/git-upload-pack", f.git)
	mux.HandleFunc("POST /{owner}/{repo}/git-receive-pack", f.git)
	mux.HandleFunc("GET /{owner}/{repo}/archive/{file...}", f.archive)
	mux.HandleFunc("GET /{owner}/{repo}/_codeload/{file...}", f.download)
	mux.HandleFunc("GET /{owner}/{repo}/commit/{file}", f.commit)
}

// git answers git clients with git http-backend, or from a list of tags.
func (f *Forge) git(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	v, entered := f.enter(w, r)
	f.mu.Unlock()
	if !entered {
		return
	}
	service := path.Base(r.URL.Path)
	if service == "refs" {
		service = r.URL.Query().Get("service")
	}
	if service == "git-receive-pack" && !v.mayPush {
		w.Header().Set("WWW-Authenticate", `Basic realm="forge"`)
		http.Error(w, "no right to push", http.StatusUnauthorized)
		return
	}
	body, err := io.ReadAll(r.Body) // CGI needs its length
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if v.repo.Dir == "" {
		f.mu.Lock()
		defer f.mu.Unlock()
		v.repo.answerGit(w, r, string(body))
		return
	}
	backend := r.Clone(r.Context())
	backend.Body, backend.ContentLength, backend.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
	_, rest, _ := strings.Cut(r.URL.Path, "/"+r.PathValue("repo"))
	backend.URL = &url.URL{Path: fmt.Sprintf("/%d.git%s", v.repo.id, rest), RawQuery: r.URL.RawQuery}
	environment := []string{"GIT_PROJECT_ROOT=" + f.root, "GIT_HTTP_EXPORT_ALL=1", "GIT_PROTOCOL=" + r.Header.Get("Git-Protocol"),
		"GIT_CONFIG_NOSYSTEM=1", "HOME=" + f.root}
	if v.mayPush {
		environment = append(environment, "REMOTE_USER=forge")
	}
	(&cgi.Handler{Path: gitBackend(f), Dir: f.root, Env: environment, Stderr: io.Discard}).ServeHTTP(w, backend)
}

func gitBackend(f *Forge) string {
	out, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		f.t.Errorf("asking git for its programs: %v", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "git-http-backend")
}

// answerGit implements protocol version 2 for a list of tags.
// https://git-scm.com/docs/protocol-v2
func (r *Repo) answerGit(w http.ResponseWriter, request *http.Request, body string) {
	line := func(format string, values ...any) {
		text := fmt.Sprintf(format, values...) + "\n"
		if len(text)+4 <= 65520 {
			fmt.Fprintf(w, "%04x%s", len(text)+4, text)
		}
	}
	if request.Method == http.MethodGet {
		w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
		line("# service=git-upload-pack")
		io.WriteString(w, "0000")
		line("version 2")
		line("ls-refs")
		line("object-format=sha1")
		io.WriteString(w, "0000")
		return
	}
	w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
	if request.Header.Get("Git-Protocol") != "version=2" || !strings.Contains(body, "command=ls-refs") {
		line("ERR only ls-refs of protocol version 2 is supported")
		return
	}
	for _, tag := range r.listed {
		line("%s refs/tags/%s", tag.Commit, tag.Name)
	}
	io.WriteString(w, "0000")
}

// archive redirects to the server that makes archives. If a branch and a tag have the same
// short name, GitHub does not choose but answers 300.
func (f *Forge) archive(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	v, entered := f.enter(w, r)
	if !entered {
		return
	}
	reference, isArchive := strings.CutSuffix(r.PathValue("file"), ".tar.gz")
	if v.repo.Dir == "" || !isArchive {
		http.NotFound(w, r)
		return
	}
	if !strings.HasPrefix(reference, "refs/") && !isCommit(reference) {
		isTag, isBranch := v.repo.has("refs/tags/"+reference), v.repo.has("refs/heads/"+reference)
		switch {
		case isTag && isBranch && f.kind == github:
			http.Error(w, "the given path has multiple possibilities", http.StatusMultipleChoices)
			return
		case isBranch && !isTag:
			reference = "refs/heads/" + reference
		default:
			reference = "refs/tags/" + reference
		}
	}
	if !v.repo.has(reference) {
		http.NotFound(w, r)
		return
	}
	to := url.URL{Path: "/" + v.repo.name + "/_codeload/" + reference}
	if v.repo.private {
		to.RawQuery = "token=" + f.once(to.Path)
	}
	http.Redirect(w, r, f.URL+to.String(), http.StatusFound)
}

// download makes an archive with git archive. It has one folder named REPO-VERSION, and its
// global header has the commit.
func (f *Forge) download(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	v := visit{repo: f.repos[strings.ToLower(r.PathValue("owner")+"/"+r.PathValue("repo"))]}
	allowed := v.repo != nil && (!v.repo.private || f.downloads[r.URL.Query().Get("token")] == r.URL.Path)
	delete(f.downloads, r.URL.Query().Get("token"))
	f.mu.Unlock()
	if !allowed {
		http.NotFound(w, r)
		return
	}
	reference := r.PathValue("file")
	version := strings.NewReplacer("refs/tags/", "", "refs/heads/", "", "/", "-").Replace(reference)
	if len(version) > 1 && version[0] == 'v' && version[1] >= '0' && version[1] <= '9' {
		version = version[1:]
	}
	w.Header().Set("Content-Type", "application/x-gzip")
	command := exec.CommandContext(r.Context(), "git", "-C", v.repo.Dir, "archive", "--format=tar.gz",
		"--prefix="+path.Base(v.repo.name)+"-"+version+"/", reference)
	command.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1")
	command.Stdout = w
	if err := command.Run(); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// commit answers with a commit as a patch, even if no branch leads to it.
func (f *Forge) commit(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	v, entered := f.enter(w, r)
	if !entered {
		return
	}
	id, isPatch := strings.CutSuffix(r.PathValue("file"), ".patch")
	if v.repo.Dir == "" || !v.repo.has(id) {
		http.NotFound(w, r)
		return
	}
	if !isPatch {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "<html><title>"+id+"</title></html>")
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	io.WriteString(w, v.repo.git("", "format-patch", "-1", "--stdout", id)+"\n")
}

func isCommit(name string) bool {
	return len(name) == 40 && strings.Trim(name, "0123456789abcdef") == ""
}
