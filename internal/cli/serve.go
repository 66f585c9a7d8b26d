package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/oci/serve"
	"github.com/libresh/libre/internal/site"
)

type serveOptions struct {
	output   string
	writable string
	site     string
	limit    int // GB
	port     int
}

func (e *env) serveCommand() *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve built images as a registry on this machine",
		Long: `Serve the OCI layout that build wrote as a registry on the loopback address,
until you interrupt it. podman, docker and skopeo pull from it without TLS
verification.

The registry is read-only, unless --writable names a directory for pushed
images. libre then serves these too, and needs neither built images nor a
catalogue. Every user of this machine may push, up to --limit. Web pages in a
browser can neither push nor read.

--site also shows the pages that libre site wrote into a directory.`,
		Example: "  libre serve\n  podman pull --tls-verify=false localhost:5000/docs-backend-default:5.4.1-1\n  libre serve --writable registry --port 5001\n  libre serve --site public",
		Args:    takes(0, 0),
		RunE:    func(cmd *cobra.Command, args []string) error { return e.runServe(cmd.Context(), o) },
	}
	flags := cmd.Flags()
	addOutputFlag(cmd, &o.output)
	flags.StringVar(&o.writable, "writable", "", "accept pushes, and keep them in `DIR`")
	flags.StringVar(&o.site, "site", "", "show the pages in `DIR`, which libre site wrote")
	o.limit, o.port = serve.DefaultLimit>>30, 5000
	flags.Var(number{&o.limit, 1, 1 << 20}, "limit", "keep at most `GB` of pushed images")
	flags.Var(number{&o.port, 0, mostPort}, "port", "listen on port `N`; 0 chooses a free port")
	return cmd
}

func (e *env) runServe(ctx context.Context, o serveOptions) error {
	layout := o.output
	if layout == "" {
		ws, err := e.workspace()
		if err != nil && o.writable == "" && o.site == "" {
			return err
		}
		if err == nil {
			layout = ws.output("")
		}
		if _, err := os.Stat(layout); o.writable+o.site != "" && err != nil {
			layout = "" // nothing is built yet: serve what is pushed, or the pages alone
		}
	}
	handler, err := serve.New(layout, o.writable)
	if errors.Is(err, fs.ErrNotExist) {
		err = &fault.Fault{Err: err, Fix: "libre build writes one, or take pushes with --writable DIR"}
	}
	if err != nil {
		return err
	}
	handler.Limit = int64(o.limit) << 30
	if o.site == "" {
		return e.serve(ctx, handler, cmp.Or(layout, o.writable), o.port)
	}
	pages, err := site.NewHandler(o.site)
	if err != nil {
		return &fault.Fault{Doing: "showing the pages in " + o.site, Err: err, Fix: "write them first: libre site --output " + o.site}
	}
	return e.serve(ctx, beside(handler, pages), strings.Join(nonEmpty(o.site, cmp.Or(layout, o.writable)), " and "), o.port)
}

// beside serves a registry, whose paths begin with /v2/, and pages.
func beside(registry, pages http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2" || strings.HasPrefix(r.URL.Path, "/v2/") {
			registry.ServeHTTP(w, r)
		} else {
			pages.ServeHTTP(w, r)
		}
	})
}

// serve answers requests until ctx ends.
func (e *env) serve(ctx context.Context, handler http.Handler, layout string, port int) error {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return fmt.Errorf("listening on port %d: %w; choose another port with --port", port, err)
	}
	if err := e.Printf("serving %s on %s\n", layout, listener.Addr()); err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	done := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = server.Shutdown(grace)
	})
	defer done()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
