package containerfile

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Mounts from stages and images do not follow links out of them.
func TestMountsDoNotFollowLinksOutOfTheirSource(t *testing.T) {
	eachUser(t, func(t *testing.T, p *place) {
		c := newCanaries(p)
		dir := filepath.Dir(c.file)
		look := "for f in /h/file /h" + c.file + " /h/1/file /h" + dir + "/file; do busybox cat $f && echo ESCAPED; busybox touch $f.written; done; true"
		const head = "FROM base AS s\nRUN for b in ln mkdir; do busybox ln -s busybox /bin/$b; done\n"
		look = "(" + look + ") >> /out 2>/dev/null\n"
		tries := map[string]string{
			// The mount contains what the link points to inside the stage, so not the canary.
			"root": head + "RUN ln -s / /l && ln -s /m /k && ln -s / /m && mkdir -p /a/a && ln -s ../../../../../.. /a/a/b\nFROM base\n" +
				"RUN --mount=type=bind,from=s,source=/l,target=/h,rw " + look +
				"RUN --mount=type=bind,from=0,source=/k,target=/h,rw " + look +
				"RUN \\\n --mount=src=a/a/b,dst=/h,rw,from=s \\\n " + look,
		}
		up := strings.Repeat("../", 30)
		for i, mount := range []string{"id=" + up + dir[1:], "target=/h,id=x,source=" + up + dir[1:], "target=/h/" + up + dir[1:]} {
			tries[fmt.Sprint("cache-", i)] = "FROM base\nRUN --mount=type=cache,target=/h," + mount + " " + look
		}
		if p.e.Name == "buildah" {
			tries["folder"] = head + "RUN ln -s " + dir + " /l\nFROM base\nRUN --mount=type=bind,from=s,source=/l,target=/h,rw " + look
			tries["file"] = head + "RUN ln -s " + c.file + " /l\nFROM base\nRUN --mount=type=bind,from=s,source=/l,target=/h/file " + look
			tries["parent"] = head + "RUN ln -s / /l\nFROM base\nRUN --mount=type=bind,from=s,source=/l" + dir + ",target=/h,rw " + look
		}
		for name, file := range tries {
			files, got := p.build(file, nil, nil)
			if name == "root" && got.Err != "" || strings.Contains(got.Err, "\ncanary") {
				t.Errorf("%s: %s", name, got.Err)
			}
			if strings.Contains(files["/out"].content, "ESCAPED") {
				t.Errorf("%s: %s", name, files["/out"].content)
			}
		}
		c.untouched(t)
	})
}

// A mount that stays inside works as before, and the history has its original text.
func TestMountsOfExistingFolders(t *testing.T) {
	eachEngine(t, func(t *testing.T, e Engine) {
		dist := catalogueLayout(t, "base", busyboxIndex(t))
		req := request(t, write(t, map[string]string{"Containerfile": `FROM base AS one
RUN busybox mkdir -p /a/b && echo b > /a/b/f && echo a > /a/f && busybox ln -s f /a/l
FROM base
RUN busybox true
FROM base AS two
COPY --from=1 /bin/sh /sh
RUN --mount=type=bind,from=one,source=/a/b,target=/b --mount=type=bind,from=one,source=/a,target=/a \
    --mount=type=bind,from=tools,source=/bin,target=/mnt --mount=type=bind,source=ctx,target=/c busybox cat /a/l /b/f /c/f > /out; busybox test -e /mnt/busybox && echo yes >> /out
COPY --from=0 /a/f /f
`, "ctx/f": "context\n"}), map[string]Origin{"base": {Layout: dist}, "tools": {Layout: dist}})
		r, err := NewBuilder(e, newStorage(t, e)).Build(t.Context(), req)
		if err != nil {
			t.Fatal(describe(err))
		}
		img, cf := built(t, r)
		files := filesOf(t, img)
		if got := files["/out"].content; got != "a\nb\ncontext\nyes\n" {
			t.Errorf("got %q", got)
		}
		if files["/f"].content != "a\n" {
			t.Errorf("from the stage 0: %+v", files["/f"])
		}
		said := fmt.Sprint(cf.History)
		if strings.Contains(said, "libre-mount") || !strings.Contains(said, "from=one,source=/a/b") || !strings.Contains(said, "from=tools,") {
			t.Error(said)
		}
	})
}

func TestUnsafeMountsAreRefused(t *testing.T) {
	old := Engine{Name: "buildah", Version: "1.28.2"}
	for _, tt := range []struct{ mount, want string }{
		{"type=cache,id=../../etc,target=/c", "Containerfile:2: RUN --mount=type=cache: id=../../etc: a path can lead out of the cache: use an id without / and $"},
		{"type=cache,id=..,target=/c", "id=.."},
		{"type=cache,id=a/l,target=/c", "id=a/l"},
		{"type=cache,id=$X,target=/c", "id=$X"},
		{"type=cache,target=../../../etc", "target=../../../etc: set an id"},
		{"type=cache,target=/c/../../../etc", "set an id"},
		{"type=cache,target=/c --mount=type=cache,target=/c/l", "target=/c/l overlaps with the cache"},
		{"type=cache,id=c,target=/x --mount=type=cache,target=/c/l", "target=/c/l overlaps with the cache"},
		{"type=cache,id=c,source=l,target=/c", "source=l: only a whole cache can be mounted"},
		{"type=cache,from=base,source=l,target=/c", "from=base: caches start empty"},
		{"type=bind,source=root,target=/c", "source=root leads outside of the mounted folder"},
		{"type=bind,source=/root/etc,target=/c", "leads outside"},
		{"type=bind,source=up,target=/c", "leads outside"},
		{"type=bind,from=extra,source=root,target=/c", "leads outside"},
		{"type=bind,from=base,source=/$X,target=/c", "write the path"},
		{"type=bind,from=base,source=/*,target=/c", "write the path"},
		{"type=bind,bind-propagation=rshared,source=x,target=/c", "bind-propagation"},
		{"type=bind,from=base,source=/,target=/c,shared", "shared"},
	} {
		source := write(t, map[string]string{"Containerfile": "FROM base\nRUN --mount=" + tt.mount + " true\n"})
		for link, target := range map[string]string{"root": "/", "up": "../../.."} {
			if err := os.Symlink(target, filepath.Join(source, link)); err != nil {
				t.Fatal(err)
			}
		}
		j := &job{Request: Request{Source: source, Contexts: map[string]string{"extra": source}}, named: map[string]string{}}
		if err := j.checked(old); err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want %s", tt.mount, err, tt.want)
		}
	}
	// Harmless mounts.
	for _, mount := range []string{"type=cache,target=/root/.cache", "type=cache,id=npm,target=/n,sharing=locked,mode=0755", "type=cache,id=a,target=/x --mount=type=cache,id=b,target=/x/y",
		"type=bind,source=.,target=/c", "type=bind,from=base,target=/c", "type=tmpfs,target=/t"} {
		source := write(t, map[string]string{"Containerfile": "FROM base\nRUN --mount=" + mount + " true\n"})
		if err := (&job{Request: Request{Source: source}, named: map[string]string{}}).checked(old); err != nil {
			t.Errorf("%s: %v", mount, err)
		}
	}
}

// checked returns the error of a check before a fetch.
func (j *job) checked(e Engine) error {
	if err := j.read(); err != nil {
		return err
	}
	return containers{storage: &storage{engine: e}}.check(j)
}

// The triggers of a base are checked like steps.
func TestTriggersWithMountsAreRefused(t *testing.T) {
	eachEngine(t, func(t *testing.T, e Engine) {
		for _, trigger := range []string{"RUN --mount=type=cache,id=../../..,target=/c true", "RUN --mount=type=bind,source=/l,target=/h true", "run --mount=from=s,source=/l,target=/h true"} {
			dist := catalogueLayout(t, "base", withConfig(t, func(c *v1.Config) { c.OnBuild = []string{trigger} }))
			req := request(t, write(t, map[string]string{"Containerfile": "FROM base\n"}), map[string]Origin{"base": {Layout: dist}})
			_, err := NewBuilder(e, newStorage(t, e)).Build(t.Context(), req)
			if err == nil || !strings.Contains(err.Error(), "Containerfile:1: base base: its ONBUILD uses --mount") {
				t.Errorf("%s: %v", trigger, err)
			}
		}
	})
}

// No build sees the cache mounts of another build, at the same time or later, whether of the
// same app or not. A link in a cache does not lead out of it.
func TestCacheMountsAreNotShared(t *testing.T) {
	eachUser(t, func(t *testing.T, p *place) {
		for _, name := range []string{"first", "second"} {
			files, got := p.build(`FROM base
RUN --mount=type=cache,id=shared,target=/c --mount=type=cache,target=/root/.cache busybox ls -A /c /root/.cache > /out; echo poison > /c/f; echo poison > /root/.cache/f
RUN --mount=type=cache,id=shared,target=/d busybox cat /d/f > /again
`, nil, nil)
			if got.Err != "" {
				t.Fatal(got.Err)
			}
			if said := files["/out"].content; strings.Contains(said, "f\n") {
				t.Errorf("%s finds %q", name, said)
			}
			if files["/again"].content != "poison\n" {
				t.Errorf("a build does not find what it has put into its cache: %q", files["/again"].content)
			}
		}
	})
}

// No step gets secrets and agents that are not configured; a step that requires one fails.
func TestNoSecretIsMounted(t *testing.T) {
	eachUser(t, func(t *testing.T, p *place) {
		p.write("secret/token", secret, 0o600)
		const look = " busybox cat /s >> /out; attack secret=" + secret + " >> /out; true\n"
		for name, file := range map[string]string{
			"secret": "RUN --mount=type=secret,id=token,target=/s" + look + "RUN --mount=type=secret,id=/etc/passwd,target=/s" + look + "RUN --mount=type=secret,id=HOME,target=/s" + look,
			"agent":  "RUN --mount=type=ssh,target=/s" + look,
		} {
			files, got := p.build("FROM base\n"+file, nil, nil, "token="+secret, "SSH_AUTH_SOCK=/run/agent")
			if got.Err == "" && files["/out"].content != "" || strings.Contains(got.Err, secret+"\n") {
				t.Errorf("%s: %q %s", name, files["/out"].content, got.Err)
			}
		}
	})
}

func TestUnfixedAdvisories(t *testing.T) {
	all := []string{"CVE-2024-1753", "CVE-2024-9407", "CVE-2024-9675", "CVE-2024-9676", "CVE-2024-11218"}
	for engine, want := range map[*Engine][]string{
		{Name: "buildah", Version: "1.28.2"}:      all,
		{Name: "buildah", Version: "1.33.7"}:      all[1:],
		{Name: "buildah", Version: "1.33.12"}:     nil,
		{Name: "buildah", Version: "1.36.0"}:      all[1:],
		{Name: "buildah", Version: "1.37.5"}:      all[4:],
		{Name: "buildah", Version: "1.38.0"}:      all[4:],
		{Name: "buildah", Version: "1.38.1"}:      nil,
		{Name: "buildah", Version: "1.41.0-dev"}:  nil,
		{Name: "podman", Version: "4.3.1"}:        all,
		{Name: "podman", Version: "4.9.4"}:        all[1:],
		{Name: "podman", Version: "5.2.4"}:        all[2:],
		{Name: "podman", Version: "5.3.0"}:        all[4:],
		{Name: "podman", Version: "5.6.0"}:        nil,
		{Name: "buildah", Version: "development"}: all,
		{Name: "docker", Version: "28.0.0"}:       nil,
		{Name: "docker", Version: "26.1.5+dfsg1"}: nil,
		{Name: "docker", Version: "24.0.9"}:       nil,
		{Name: "docker", Version: "25.0.1"}:       {"CVE-2024-21626", "CVE-2024-23651", "CVE-2024-23652"},
		{Name: "docker", Version: "23.0.6"}:       {"CVE-2024-21626", "CVE-2024-23651", "CVE-2024-23652"},
	} {
		if diff := cmp.Diff(want, slices.Clip(engine.Unfixed())); diff != "" {
			t.Errorf("%s: %s", engine, diff)
		}
	}
}
