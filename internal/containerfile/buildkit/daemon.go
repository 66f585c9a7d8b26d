// Package buildkit is a client of BuildKit's daemon. It uses the daemon's own protocol: a control
// service, and a session in which the daemon asks for files, secrets and logins.
//
// BuildKit's package client does the same, but needs containerd's library, which is large.
package buildkit

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	api "github.com/moby/buildkit/api/services/control"
	"github.com/moby/buildkit/client/connhelper/kubepod"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/libresh/libre/internal/lazyregexp"
)

// Daemon says where BuildKit's daemon is, and how to trust it.
type Daemon struct {
	Host      string // unix:///PATH, tcp://HOST:PORT or kube-pod://POD
	CA        string // PEM file of the authorities for a daemon at tcp://; "": those of this machine
	Cert, Key string // PEM files of the client; "": it has none
}

var errHost = errors.New("expected unix:///PATH, tcp://HOST:PORT or kube-pod://POD")

// CheckHost checks the form of a daemon's address.
func CheckHost(host string) error {
	u, err := url.Parse(host)
	switch {
	case err != nil || u.User != nil || u.Fragment != "":
	case u.Scheme == "unix" && u.Host == "" && filepath.IsAbs(u.Path) && u.RawQuery == "":
		return nil
	case u.Scheme == "tcp" && u.Hostname() != "" && u.Port() != "" && u.Path == "" && u.RawQuery == "":
		return nil
	case u.Scheme == "kube-pod" && u.Path == "":
		if _, err := kubepod.SpecFromURL(u); err == nil {
			return nil
		}
	}
	return errHost
}

// IsLocal reports whether the daemon's address is on this machine.
func (d Daemon) IsLocal() bool {
	u, err := url.Parse(d.Host)
	return err == nil && (u.Scheme == "unix" || u.Scheme == "tcp" && isLoopback(u.Hostname()))
}

func isLoopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// Client is a connection to a daemon.
type Client struct {
	daemon  Daemon
	conn    *grpc.ClientConn
	control api.ControlClient
}

// Connect makes a client. It sends nothing yet.
func Connect(d Daemon) (*Client, error) {
	if err := CheckHost(d.Host); err != nil {
		address := d.Host
		if at := strings.LastIndex(address, "@"); at >= 0 {
			address = "…" + address[at:] // a login
		}
		return nil, fmt.Errorf("the address of BuildKit's daemon is %q, %w", address, err)
	}
	u, _ := url.Parse(d.Host) // CheckHost has parsed it
	secure, err := d.credentials(u)
	if err != nil {
		return nil, err
	}
	dial, authority, err := dialer(u)
	if err != nil {
		return nil, err
	}
	conn, err := grpc.NewClient("passthrough:///"+d.Host,
		grpc.WithTransportCredentials(secure), grpc.WithContextDialer(dial), grpc.WithAuthority(authority),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)))
	if err != nil {
		return nil, err
	}
	return &Client{daemon: d, conn: conn, control: api.NewControlClient(conn)}, nil
}

// maxMessage is the size of BuildKit's largest messages, in bytes.
const maxMessage = 16 << 20

// Close closes the connection.
func (c *Client) Close() error { return c.conn.Close() }

// dialer returns how to connect to an address, and the name of the server.
func dialer(u *url.URL) (dial func(context.Context, string) (net.Conn, error), authority string, err error) {
	var d net.Dialer
	switch u.Scheme {
	case "unix":
		return func(ctx context.Context, _ string) (net.Conn, error) { return d.DialContext(ctx, "unix", u.Path) }, "localhost", nil
	case "tcp":
		return func(ctx context.Context, _ string) (net.Conn, error) { return d.DialContext(ctx, "tcp", u.Host) }, u.Hostname(), nil
	}
	pod, err := kubepod.Helper(u)
	if err != nil {
		return nil, "", err
	}
	return func(ctx context.Context, address string) (net.Conn, error) {
		conn, err := pod.ContextDialer(ctx, address)
		if err != nil {
			return nil, err
		}
		return &kubectlConn{conn}, nil
	}, "localhost", nil
}

// kubectlConn says why kubectl ended. Its connection says that to who reads; who writes learns
// only that the pipe is broken.
type kubectlConn struct{ net.Conn }

func (c *kubectlConn) Write(content []byte) (int, error) {
	n, err := c.Conn.Write(content)
	if errors.Is(err, syscall.EPIPE) {
		if _, why := c.Conn.Read(make([]byte, 1)); why != nil && !errors.Is(why, io.EOF) {
			err = why
		}
	}
	return n, err
}

// credentials reads the files for TLS. Only a daemon on this machine may be without.
func (d Daemon) credentials(u *url.URL) (credentials.TransportCredentials, error) {
	plain := d.CA == "" && d.Cert == "" && d.Key == ""
	switch {
	case u.Scheme != "tcp" && plain, u.Scheme == "tcp" && plain && isLoopback(u.Hostname()):
		return insecure.NewCredentials(), nil
	case u.Scheme != "tcp":
		return insecure.NewCredentials(), nil // the files are for another daemon: BUILDKIT_HOST names this one
	case (d.Cert == "") != (d.Key == ""):
		return nil, errors.New("buildkit.cert and buildkit.key in libre.yaml need each other")
	}
	config := &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
	if d.CA != "" {
		pem, err := os.ReadFile(d.CA)
		if err != nil {
			return nil, fmt.Errorf("buildkit.ca: %w", err)
		}
		if config.RootCAs = x509.NewCertPool(); !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("buildkit.ca: %s has no certificate in PEM", d.CA)
		}
	}
	if d.Cert != "" {
		pair, err := tls.LoadX509KeyPair(d.Cert, d.Key)
		if err != nil {
			return nil, fmt.Errorf("buildkit.cert and buildkit.key: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return credentials.NewTLS(config), nil
}

// Facts is what a daemon says of itself.
type Facts struct {
	Version   string   // 0.34.2
	Platforms []string // of its worker: linux/amd64
	Network   string   // of build steps: host, or cni for one of their own; "" is unknown
}

// networkLabel names a worker's network.
// https://github.com/moby/buildkit/blob/v0.34.2/worker/label/label.go
const networkLabel = "org.mobyproject.buildkit.worker.network"

// Facts asks the daemon for its version and its worker. BuildKit uses its first worker only.
func (c *Client) Facts(ctx context.Context) (Facts, error) {
	info, err := c.control.Info(ctx, &api.InfoRequest{})
	if err != nil {
		return Facts{}, c.unreachable(err)
	}
	list, err := c.control.ListWorkers(ctx, &api.ListWorkersRequest{})
	if err != nil {
		return Facts{}, c.unreachable(err)
	}
	if len(list.Record) == 0 {
		return Facts{}, fmt.Errorf("BuildKit's daemon at %s has no worker", c.daemon.Host)
	}
	worker := list.Record[0]
	facts := Facts{Version: strings.TrimPrefix(info.GetBuildkitVersion().GetVersion(), "v"), Network: worker.Labels[networkLabel]}
	for _, p := range worker.Platforms {
		name := p.OS + "/" + p.Architecture
		if p.Variant != "" {
			name += "/" + p.Variant
		}
		facts.Platforms = append(facts.Platforms, name)
	}
	return facts, nil
}

// unreachable says why the daemon does not answer. gRPC wraps the reason.
func (c *Client) unreachable(err error) error {
	said := status.Convert(err)
	reason := said.Message()
	if quoted, ok := strings.CutPrefix(reason, "connection error: desc = "); ok {
		if inner, err := strconv.Unquote(quoted); err == nil {
			reason = strings.TrimPrefix(strings.TrimPrefix(inner, "transport: "), "Error while dialing: ")
		}
	}
	if _, log, ok := strings.Cut(reason, ": stderr="); ok {
		reason = "kubectl: " + ofKubectl(log)
	}
	if code := said.Code(); code == codes.DeadlineExceeded || code == codes.Canceled {
		reason = "it took too long"
	}
	return fmt.Errorf("BuildKit's daemon at %s does not answer: %s", c.daemon.Host, reason)
}

// logLine matches a line of kubectl's log: E1130 14:05:17.814274 30555 memcache.go:265] …
var logLine = lazyregexp.New(`^[EWIF]\d{4} `)

// ofKubectl returns kubectl's errors on one line, without its log.
func ofKubectl(stderr string) string {
	var lines []string
	for _, line := range strings.Split(stderr, "\n") {
		if line = strings.TrimSpace(line); line != "" && !logLine().MatchString(line) {
			lines = append(lines, line)
		}
	}
	return cmp.Or(strings.Join(lines, ", "), "it said nothing")
}

// IsGone reports whether a build failed because the connection to the daemon ended.
func IsGone(err error) bool { return status.Code(err) == codes.Unavailable }
