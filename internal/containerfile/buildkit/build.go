package buildkit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"time"

	api "github.com/moby/buildkit/api/services/control"
	"github.com/moby/buildkit/identity"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/filesync"
	"github.com/moby/buildkit/session/grpchijack"
	"github.com/moby/buildkit/session/secrets/secretsprovider"
	"github.com/moby/buildkit/session/sshforward/sshprovider"
	"github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/util/bklog"
	"github.com/moby/buildkit/util/grpcerrors"
	"github.com/sirupsen/logrus"
	"github.com/tonistiigi/fsutil"
	"github.com/tonistiigi/fsutil/types"
	"golang.org/x/sync/errgroup"
)

// Build is one image to build.
type Build struct {
	Options map[string]string // of the Dockerfile frontend
	Folders map[string]string // that the daemon may read, by the name in Options
	Layouts map[string]string // folders of OCI layouts that the daemon may read, by the name in Options
	Secrets map[string][]byte // by id
	Agents  map[string]string // sockets of SSH agents, by id
	Login   Login             // to registries; nil: none
	Cache   Cache
	Output  string    // the folder for the OCI layout of the image
	Log     io.Writer // gets the progress as lines, like those of docker buildx --progress=plain
}

// Cache names caches of steps in registries. The daemon reads From and writes To.
type Cache struct{ From, To []string }

// frontend is the part of the daemon that reads Dockerfiles. Another one would have to be
// fetched.
const frontend = "dockerfile.v0"

// exporter makes layers that depend on the steps only. The caller compresses them.
var exporter = map[string]string{
	"rewrite-timestamp": "true", "compression": "uncompressed", "force-compression": "true", "oci-mediatypes": "true",
}

// statusTime is how long the progress may last after the build has ended.
const statusTime = 5 * time.Second

// Build builds an image and writes its OCI layout. If ctx ends, the daemon stops the build. The
// last lines of the log show the error and the part of the file that it comes from.
func (c *Client) Build(ctx context.Context, b Build) error {
	ctx = quiet(ctx)
	s, err := b.session(ctx)
	if err != nil {
		return err
	}
	options := maps.Clone(b.Options)
	options["cmdline"] = "" // without it, a syntax in the file or an argument names another frontend
	caches := &api.CacheOptions{}
	for _, ref := range b.Cache.From {
		caches.Imports = append(caches.Imports, &api.CacheOptionsEntry{Type: "registry", Attrs: map[string]string{"ref": ref}})
	}
	for _, ref := range b.Cache.To {
		caches.Exports = append(caches.Exports, &api.CacheOptionsEntry{Type: "registry", Attrs: map[string]string{
			"ref": ref, "mode": "max", "oci-mediatypes": "true", "image-manifest": "true", "ignore-error": "true",
		}})
	}
	if len(caches.Imports) > 0 {
		imports, err := json.Marshal(caches.Imports)
		if err != nil {
			return err
		}
		options["cache-imports"] = string(imports)
	}
	run, stop := context.WithCancel(ctx)
	defer stop()
	var group errgroup.Group
	group.Go(func() error { return s.Run(run, grpchijack.Dialer(c.control)) })
	ref := identity.NewID()
	group.Go(func() error { return c.follow(run, ref, b.Log) })
	_, err = c.control.Solve(ctx, &api.SolveRequest{
		Ref: ref, Session: s.ID(), Frontend: frontend, FrontendAttrs: options, Cache: caches,
		Exporters: []*api.Exporter{{Type: "oci", Attrs: exporter}},
		Internal:  true, // the daemon keeps no record of the build, which would have its arguments
	})
	late := time.AfterFunc(statusTime, stop)
	defer late.Stop()
	_ = s.Close()
	_ = group.Wait() // the session and the progress end with the build, whose error counts
	if err == nil {
		return nil
	}
	err = grpcerrors.FromGRPC(err)
	for _, source := range errdefs.Sources(err) {
		_ = source.Print(b.Log)
	}
	fmt.Fprintf(b.Log, "ERROR: %v\n", err)
	return err
}

// session offers the daemon what the build may use, and nothing else.
//
// The daemon keeps files under the session's key, and compares their sizes and times to find what
// has changed. All files have the same time, so each build has another key.
func (b Build) session(ctx context.Context) (*session.Session, error) {
	s, err := session.NewSession(ctx, identity.NewID())
	if err != nil {
		return nil, err
	}
	folders := filesync.StaticDirSource{}
	for name, dir := range b.Folders {
		if folders[name], err = folder(dir); err != nil {
			return nil, err
		}
	}
	s.Allow(filesync.NewFSSyncProvider(folders))
	s.Allow(filesync.NewFSSyncTarget(filesync.WithFSSync(0, func(map[string]string) (io.WriteCloser, error) {
		return receive(ctx, b.Output), nil
	})))
	s.Allow(layouts(b.Layouts))
	s.Allow(secretsprovider.FromMap(b.Secrets))
	if b.Login != nil {
		s.Allow(logins{ask: b.Login})
	}
	if len(b.Agents) > 0 {
		var agents []sshprovider.AgentConfig
		for id, socket := range b.Agents {
			agents = append(agents, sshprovider.AgentConfig{ID: id, Paths: []string{socket}, Raw: true})
		}
		offer, err := sshprovider.NewSSHAgentProvider(agents)
		if err != nil {
			return nil, err
		}
		s.Allow(offer)
	}
	return s, nil
}

// folder offers a folder, whose files all belong to root.
func folder(dir string) (fsutil.FS, error) {
	files, err := fsutil.NewFS(dir)
	if err != nil {
		return nil, err
	}
	return fsutil.NewFilterFS(files, &fsutil.FilterOpt{Map: func(_ string, s *types.Stat) fsutil.MapResult {
		s.Uid, s.Gid = 0, 0
		return fsutil.MapResultKeep
	}})
}

// follow writes the progress of a build until it ends.
func (c *Client) follow(ctx context.Context, ref string, log io.Writer) error {
	stream, err := c.control.Status(ctx, &api.StatusRequest{Ref: ref})
	if err != nil {
		return err
	}
	p := progress{to: log, numbers: map[string]int{}, parts: map[string][]byte{}, ended: map[string]bool{}}
	for {
		update, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		p.update(update)
	}
}

// quiet drops what BuildKit's packages log by themselves.
func quiet(ctx context.Context) context.Context {
	silent := logrus.New()
	silent.SetOutput(io.Discard)
	return bklog.WithLogger(ctx, logrus.NewEntry(silent))
}
