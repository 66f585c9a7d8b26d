package containerfile

import (
	"cmp"
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/libresh/libre/internal/lazyregexp"
)

// Request is one image to build.
type Request struct {
	Source    string            // the source's folder, read only: a store path
	Context   string            // the build context, relative to Source; "" is all of it
	File      string            // the Containerfile, relative to Source; "" is Containerfile or Dockerfile in the context
	Target    string            // the stage to build; "" is the last one
	Args      map[string]string // build arguments
	Contexts  map[string]string // named contexts: name to absolute folder
	Bases     map[string]Origin // by image name after expansion, in any spelling; without a tag it matches any; the most exact key wins
	Platform  string            // OS/ARCH[/VARIANT]; "" is linux on this machine's architecture
	Timestamp int64             // seconds since 1970: the time of every file and of the image
	NoCache   bool              // docker and buildkit: run every step again; buildah and podman always do
	Work      string            // a folder of the caller, on a disk with space for the image; Result.Layout is below it
	Log       string            // path of the build log

	// Step, if set, is called when an instruction begins; done includes it. Calls come
	// from one goroutine at a time; line is safe to print.
	Step func(done, total int, line string)
	// Warn, if set, is called with warnings that do not stop the build.
	Warn func(warning string)
	// OnResult, if set, is called with the result while the engine's storage is cleaned,
	// which takes about as long as an import. Build returns its error.
	OnResult func(Result) error

	// Cache is the namespace of the build's cache mounts in docker and buildkit, which keep
	// them between builds. With buildah and podman each build starts with empty ones.
	Cache string
	App   string // the app of the Containerfile, which Secret.Apps must list
	Steps
}

// Steps is what the catalogue's owner grants to build steps, beyond the definition. It
// is not in the image's key and leaves no trace in the image.
type Steps struct {
	// TrustUpstream allows a build without isolation from this machine, if no
	// confinement works. Each such build calls Warn.
	TrustUpstream bool
	// Proxy is the URL of the proxy for steps, "" for none. Steps can read it, with a
	// password in it.
	Proxy string
	// CA lists all certificates that steps trust, in PEM; empty: those of their image.
	CA []byte
	// Secrets are the values for RUN --mount=type=secret, SSH those for type=ssh, by id.
	// An SSH value is a private key, or the path of an agent's socket. Only those that
	// the Containerfile uses are read.
	Secrets, SSH map[string]Secret
}

// Origin says where a base comes from: exactly one of Digest and Layout is set.
type Origin struct {
	Digest string // sha256:…, fetched from the registry in the base's name
	Layout string // an OCI layout's folder
	Ref    string // with Layout: the entry's org.opencontainers.image.ref.name or digest
}

// Result is a built image.
type Result struct {
	// Layout is the folder of an OCI layout with this one image: one manifest, without a
	// name. Its layers are not compressed. The build is reproducible as far as the RUN
	// steps are. Fields that OCI's configuration lacks are where docker has them:
	// Healthcheck, Shell, OnBuild.
	Layout string
	Bases  []ResolvedBase
	Labels []string      // names of the labels that the Containerfile sets, not only its base
	From   *ResolvedBase // the entry of Bases that the target is built on; nil for scratch
}

// ResolvedBase is a base as the build used it.
type ResolvedBase struct {
	Base
	Key       string // the matching key of Request.Bases, "" for none
	Reference string // the full name: docker.io/library/python:3.13
	Digest    string // of the manifest or index that the name refers to
	Pinned    bool   // false: the digest was resolved in this run
}

// Builder builds images with one engine. It resolves an unpinned base only once, so that
// all images of a run use the same. Its methods may be called concurrently.
type Builder struct {
	engine  Engine
	storage *storage

	mu    sync.Mutex
	bases map[Base]*lookup // by name and platform
}

// lookup is one base's entry in Builder. It is locked while the base is fetched, so that two
// images on the same base download it once.
type lookup struct {
	sync.Mutex
	digest string // what the name resolves to in this run; "" before
}

// NewBuilder makes a Builder that keeps the bases of buildah and podman below dir;
// docker and buildkit keep them themselves.
func NewBuilder(e Engine, dir string) *Builder {
	if absolute, err := filepath.Abs(dir); err == nil {
		dir = absolute // confine.sh changes the working directory
	}
	return &Builder{engine: e, storage: &storage{engine: e, dir: dir}, bases: map[Base]*lookup{}}
}

// backend abstracts over buildah and podman, docker, and buildkit.
type backend interface {
	// check reports everything that the engine does not support, before a fetch.
	check(j *job) error
	// fetch makes a base available by digest, or by layout.
	fetch(b Base, o Origin) (fetched, error)
	// resolve returns the digest of a name.
	resolve(b Base, r reference) (digest string, err error)
	// build builds the rewritten file into an OCI layout.
	build(j *job) error
}

// fetched says how a build refers to a base.
type fetched struct {
	from    string // the argument of FROM
	context string // the value of --build-context, for COPY --from and RUN --mount
	digest  string
	onbuild int      // number of ONBUILD steps of the base
	shell   []string // of the base's SHELL, if the engine does not apply it
}

var argName = lazyregexp.New(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Build builds one image. An error of the engine is an [*Error]. If ctx ends first, the
// error wraps ctx's, and the engine and its children are gone. Unsupported instructions
// are reported together, one a line.
func (b *Builder) Build(ctx context.Context, r Request) (_ Result, err error) {
	j := &job{Request: r, named: map[string]string{}}
	j.Platform = cmp.Or(j.Platform, machinePlatform())
	if err := j.read(); err != nil {
		return Result{}, err
	}
	st := newSteps(j.plan, r.Step)
	if j.out, err = newOutput(ctx, r.Log, st.line); err != nil {
		return Result{}, err
	}
	j.out.mask = newMask(j.secretValues())
	defer func() {
		if cerr := j.out.Close(); err == nil {
			err = cerr
		}
	}()
	if err := j.makeFolders(); err != nil {
		return Result{}, err
	}
	defer b.storage.remove(j.tmp)
	defer func() {
		if err != nil {
			os.RemoveAll(j.layout)
		}
	}()
	copied := sync.OnceValue(j.copyContexts) // in parallel to preparing the engine and fetching bases
	go copied()
	defer func() { _ = copied() }()
	engine, end, err := b.start(ctx, j)
	if err != nil {
		return Result{}, err
	}
	end = sync.OnceFunc(end)
	defer end()
	if err := engine.check(j); err != nil {
		return Result{}, err
	}
	bases, err := b.fetchAll(engine, j)
	if err != nil {
		return Result{}, err
	}
	if err := cmp.Or(copied(), j.prepare()); err != nil {
		return Result{}, err
	}
	if err := engine.build(j); err != nil {
		return Result{}, j.locate(err, st.last)
	}
	result := Result{Layout: j.layout, Bases: bases, Labels: slices.Sorted(maps.Keys(j.declaredConfig().Config.Labels))}
	if from := j.file.root(j.plan); from != nil {
		at := slices.IndexFunc(bases, func(r ResolvedBase) bool { return r.Name == from.Name && r.Platform == from.Platform })
		result.From = &bases[at]
	}
	if r.OnResult != nil {
		go end()
		err = r.OnResult(result)
	}
	return result, err
}

// makeFolders makes the temporary folder, and removes an old layout.
func (j *job) makeFolders() (err error) {
	if j.Work, err = filepath.Abs(j.Work); err != nil {
		return err
	}
	j.layout = filepath.Join(j.Work, "layout")
	if err := os.RemoveAll(j.layout); err != nil {
		return err
	}
	if err := os.MkdirAll(j.Work, 0o755); err != nil {
		return err
	}
	j.tmp, err = os.MkdirTemp(j.Work, "build-")
	return err
}

// start prepares the engine for a job; end unlocks and cleans its storage.
func (b *Builder) start(ctx context.Context, j *job) (_ backend, end func(), err error) {
	switch b.engine.Name {
	case "docker":
		return docker{b.engine, j.out, j.tmp}, func() {}, nil
	case "buildkit":
		return &buildKit{b.engine, j.out}, func() {}, nil
	}
	if err := b.storage.open(ctx); err != nil {
		return nil, nil, err
	}
	b.storage.clean(ctx)
	unlock, _, err := b.storage.lock(ctx, false)
	if err != nil {
		return nil, nil, err
	}
	if err := b.storage.makeRunRoot(); err != nil {
		unlock()
		return nil, nil, err
	}
	j.out.disk = b.storage.dir
	return containers{b.storage, j.out, j.tmp}, func() {
		unlock()
		// Even after ctx has ended: a killed engine leaves its working containers
		// mounted.
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		b.storage.clean(late)
	}, nil
}
