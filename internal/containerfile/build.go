package containerfile

import (
	"cmp"
	"context"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"
)

// Request is one image to build.
type Request struct {
	Source    string            // the source's folder, read only: a store path
	Context   string            // the build context, relative to Source; "" is all of it
	File      string            // the Containerfile, relative to Source; "" is Containerfile or Dockerfile in the context
	Target    string            // the stage to build; "" is the last one
	Args      map[string]string // build arguments
	Contexts  map[string]string // named contexts: name to absolute folder
	Bases     map[string]Origin // by name as in the file once arguments are put in, in any spelling, or without a tag for any; the most exact counts
	Platform  string            // OS/ARCH[/VARIANT]; "" is linux on this machine's architecture
	Timestamp int64             // seconds since 1970: of every file and of the image
	NoCache   bool              // docker: run every step again; buildah and podman always do
	Work      string            // a folder of the caller's, on a disk with room for the image; Result.Layout is below it
	Log       string            // path of the file that takes all output

	// Step, if set, is told of every instruction that begins: done counts it.
	// It is called from one goroutine at a time; line is safe to print.
	Step func(done, total int, line string)
	// Warn, if set, is told what the user should know of a build that goes on.
	Warn func(warning string)
	// Take, if set, gets the result while what the build left in the engine's storage is
	// removed, which takes as long. Its error is Build's.
	Take func(Result) error

	// Cache names whose cache mounts they are: docker, which keeps them, shows them to
	// no other build. With buildah and podman each build begins with empty ones.
	Cache string
	App   string // whose Containerfile it is: Steps.Secrets says which apps may have them
	Steps
}

// Steps is what the catalogue's owner lets steps have, beyond what a definition says: it
// is not in the image's key, and leaves no trace in the image.
type Steps struct {
	// TrustUpstream allows a build whose steps nothing keeps from this machine, where
	// no confinement works. Each such build is told to Warn.
	TrustUpstream bool
	// Proxy is the URL of the proxy that steps use, "" for none: it is in reach of what
	// the Containerfile runs, and so is a password in it.
	Proxy string
	// CA is all authorities that steps trust, in PEM; none: those of their image.
	CA []byte
	// Secrets are what RUN --mount=type=secret may ask for, by id, SSH are what type=ssh
	// may: a private key, or the path of an agent's socket. A file names one that has
	// either. Only what the Containerfile asks for is read.
	Secrets, SSH map[string]Secret
}

// Origin is where a base comes from: exactly one of Digest and Layout is set.
type Origin struct {
	Digest string // sha256:…, fetched from the registry in the base's name
	Layout string // an OCI layout's folder
	Ref    string // with Layout: the entry's org.opencontainers.image.ref.name or digest
}

// Result is a built image.
type Result struct {
	// Layout is the folder of an OCI layout with this one image, a manifest
	// for one platform, unnamed. Its layers are not compressed. Layers and
	// configuration follow from the Request as far as the RUN steps do. What OCI's
	// configuration has no place for is where docker's has it: Healthcheck, Shell, OnBuild.
	Layout string
	Bases  []ResolvedBase
	Labels []string      // names of labels that the Containerfile sets, and not its base alone
	From   *ResolvedBase // the one of Bases that the target's stage goes back to; nil where that is scratch
}

// ResolvedBase is a base as it was used.
type ResolvedBase struct {
	Base
	Key       string // the one of Request.Bases that is of it, "" for none
	Reference string // the name in full: docker.io/library/python:3.13
	Digest    string // what the name means in its registry or layout: a manifest's or an index's digest
	Pinned    bool   // false: the digest was looked up in this run
}

// Builder builds images with one engine. It resolves a base that is not
// pinned only once, so that all images of a run get the same. Its methods may
// be called concurrently.
type Builder struct {
	engine  Engine
	storage *storage

	mu    sync.Mutex
	bases map[Base]*lookup // by name and platform
}

// lookup is held while a base is fetched: two images on one base would
// download it twice.
type lookup struct {
	sync.Mutex
	digest string // what the name means in this run, once that is known
}

// NewBuilder makes a Builder that keeps bases below dir,
// where buildah and podman are concerned; docker keeps them itself.
func NewBuilder(e Engine, dir string) *Builder {
	if absolute, err := filepath.Abs(dir); err == nil {
		dir = absolute // confine.sh is elsewhere
	}
	return &Builder{engine: e, storage: &storage{engine: e, dir: dir}, bases: map[Base]*lookup{}}
}

// backend is what differs between buildah and podman on one side and docker on
// the other.
type backend interface {
	// check says all that keeps the engine from building, before anything is fetched.
	check(j *job) error
	// fetch makes a base available by digest, or by layout.
	fetch(b Base, o Origin) (fetched, error)
	// resolve looks a name up.
	resolve(b Base, r reference) (digest string, err error)
	// build builds the rewritten file into an OCI layout.
	build(j *job) error
}

// fetched is how an engine is told to use a base.
type fetched struct {
	from    string // the word behind FROM
	context string // the value of --build-context, for COPY --from and RUN --mount
	digest  string
	onbuild int      // how many steps the base's ONBUILD brings
	shell   []string // of the base's SHELL, where the engine does not heed it by itself
}

var argName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Build builds one image. An error of the engine is an [*Error]; when ctx ends
// first it wraps ctx's error, and what the engine had started is gone. What keeps an
// engine from building a file is told at once, a line for each instruction.
func (b *Builder) Build(ctx context.Context, r Request) (_ Result, err error) {
	j := &job{Request: r, named: map[string]string{}}
	j.Platform = cmp.Or(j.Platform, machinePlatform())
	for name := range r.Args {
		if !argName.MatchString(name) {
			return Result{}, badArgument(name)
		}
	}
	if err := j.read(); err != nil {
		return Result{}, err
	}
	st := newSteps(j.plan, r.Step)
	if j.out, err = newOutput(ctx, r.Log, st.line); err != nil {
		return Result{}, err
	}
	j.out.mask = newMask(j.hiddenValues())
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
	copied := sync.OnceValue(j.copyContexts) // while the engine is made ready, and bases are fetched
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
	result := Result{Layout: j.layout, Bases: bases, Labels: slices.Sorted(maps.Keys(j.said().Config.Labels))}
	if from := j.file.root(j.plan); from != nil {
		at := slices.IndexFunc(bases, func(r ResolvedBase) bool { return r.Name == from.Name && r.Platform == from.Platform })
		result.From = &bases[at]
	}
	if r.Take != nil {
		go end()
		err = r.Take(result)
	}
	return result, err
}

// makeFolders makes the folder that is gone at the end, and the layout's place.
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

// start makes the engine ready for a job; end leaves its storage as another run expects it.
func (b *Builder) start(ctx context.Context, j *job) (_ backend, end func(), err error) {
	if b.engine.Name == "docker" {
		return docker{b.engine, j.out, j.tmp}, func() {}, nil
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
		// Also when ctx has ended: a killed engine leaves its working
		// containers mounted.
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		b.storage.clean(late)
	}, nil
}
