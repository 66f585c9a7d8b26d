package upstream

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/module"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/web"
)

// goSettings are the user's settings for Go modules.
// https://go.dev/ref/mod#environment-variables
type goSettings struct {
	proxies   []goProxy // none: ask the go program for them
	noProxies string    // patterns of modules that skip the proxies
}

// goProxy is one entry of GOPROXY.
type goProxy struct {
	place    *url.URL // nil: direct or off
	direct   bool
	onErrors bool // try the next one after any error, not only if the module does not exist
}

// newGoSettings reads the environment, then the file that "go env -w" writes.
func newGoSettings(getenv func(string) string) (goSettings, error) {
	stored, err := readGoEnv(getenv)
	if err != nil {
		return goSettings{}, err
	}
	setting := func(name string) string { return cmp.Or(getenv(name), stored[name]) }
	settings := goSettings{noProxies: cmp.Or(setting("GONOPROXY"), setting("GOPRIVATE"))}
	if list := setting("GOPROXY"); list != "" {
		settings.proxies, err = parseGoProxies(list)
	}
	return settings, err
}

// readGoEnv reads lines of NAME=VALUE. https://pkg.go.dev/cmd/go#hdr-Environment_variables
func readGoEnv(getenv func(string) string) (map[string]string, error) {
	file := getenv("GOENV")
	if config := cmp.Or(getenv("XDG_CONFIG_HOME"), filepath.Join(getenv("HOME"), ".config")); file == "" && filepath.IsAbs(config) {
		file = filepath.Join(config, "go", "env")
	}
	if file == "" || file == "off" {
		return nil, nil
	}
	content, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	stored := map[string]string{}
	for line := range strings.Lines(string(content)) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), "="); found && !strings.HasPrefix(name, "#") {
			stored[name] = value
		}
	}
	return stored, nil
}

// parseGoProxies reads GOPROXY. It ignores everything after direct or off.
func parseGoProxies(list string) ([]goProxy, error) {
	var proxies []goProxy
	for list != "" {
		end := strings.IndexAny(list, ",|")
		entry, onErrors := list, false
		if end >= 0 {
			entry, onErrors, list = list[:end], list[end] == '|', list[end+1:]
		} else {
			list = ""
		}
		switch entry = strings.TrimSpace(entry); entry {
		case "":
			continue
		case "off":
			return append(proxies, goProxy{}), nil
		case "direct":
			return append(proxies, goProxy{direct: true}), nil
		}
		if !strings.Contains(entry, ":/") {
			entry = "https://" + entry // as in cmd/go
		}
		place, err := url.Parse(entry)
		if err != nil || place.Scheme != "https" && place.Scheme != "http" && place.Scheme != "file" {
			return nil, fmt.Errorf("GOPROXY has %s, expected an https or file URL, direct or off", redacted(entry))
		}
		proxies = append(proxies, goProxy{place: place, onErrors: onErrors})
	}
	if len(proxies) == 0 {
		return nil, errors.New("GOPROXY is empty, expected proxies, direct or off")
	}
	return proxies, nil
}

// goOrigin is a place to get a module from: a proxy, or its repository.
type goOrigin interface {
	list(ctx context.Context) ([]string, error)
	latest(ctx context.Context) (string, error)
	date(ctx context.Context, version string) (time.Time, error)
	mod(ctx context.Context, version string) ([]byte, error)
	zip(ctx context.Context, version string) (io.ReadCloser, error)
}

// ask tries the origins in order, by the rules of GOPROXY.
func ask[T any](origins []goOrigin, proxies []goProxy, question func(goOrigin) (T, error)) (T, error) {
	var none T
	var failure error
	for i, origin := range origins {
		answer, err := question(origin)
		if err == nil {
			return answer, nil
		}
		// The error of another origin is more useful than "not found" from this one.
		if failure == nil || !errors.Is(err, ErrNotFound) {
			failure = err
		}
		if !errors.Is(err, ErrNotFound) && !proxies[i].onErrors {
			break
		}
	}
	return none, failure
}

// usualGoProxies returns the proxies that the go program uses by default.
var usualGoProxies = sync.OnceValues(func() ([]goProxy, error) {
	out, err := runGo(context.Background(), []string{"GOENV=off", "GOPROXY="}, "env", "GOPROXY")
	if err != nil {
		return nil, fmt.Errorf("finding the module proxy: %w; set GOPROXY", err)
	}
	return parseGoProxies(strings.TrimSpace(string(out)))
})

// origins returns the places to get a module from, in order.
func (c *Client) origins(path string) ([]goOrigin, []goProxy, error) {
	proxies := c.modules.proxies
	if module.MatchPrefixPatterns(c.modules.noProxies, path) {
		proxies = []goProxy{{direct: true}}
	}
	if len(proxies) == 0 {
		var err error
		if proxies, err = usualGoProxies(); err != nil {
			return nil, nil, err
		}
	}
	escaped, err := module.EscapePath(path)
	if err != nil {
		return nil, nil, err
	}
	var origins []goOrigin
	for _, proxy := range proxies {
		switch {
		case proxy.direct:
			origins = append(origins, goDirect{path, c.deadline})
		case proxy.place == nil:
			origins = append(origins, goOff{})
		default:
			origins = append(origins, &goProxied{c, below(proxy.place, escaped)})
		}
	}
	return origins, proxies, nil
}

// goProxied is a module on a proxy. https://go.dev/ref/mod#goproxy-protocol
type goProxied struct {
	client *Client
	place  *url.URL // of the module
}

func (p *goProxied) list(ctx context.Context) ([]string, error) {
	content, err := p.get(ctx, "@v/list")
	if err != nil {
		return nil, err
	}
	var versions []string
	lines := bufio.NewScanner(bytes.NewReader(content))
	for lines.Scan() {
		// Old proxies add a date after the version.
		if fields := strings.Fields(lines.Text()); len(fields) > 0 {
			versions = append(versions, fields[0])
		}
	}
	return versions, lines.Err()
}

func (p *goProxied) latest(ctx context.Context) (string, error) {
	version, _, err := p.info(ctx, "@latest")
	return version, err
}

func (p *goProxied) date(ctx context.Context, version string) (time.Time, error) {
	escaped, err := module.EscapeVersion(version)
	if err != nil {
		return time.Time{}, err
	}
	_, date, err := p.info(ctx, "@v/"+escaped+".info")
	return date, err
}

func (p *goProxied) mod(ctx context.Context, version string) ([]byte, error) {
	escaped, err := module.EscapeVersion(version)
	if err != nil {
		return nil, err
	}
	return p.get(ctx, "@v/"+escaped+".mod")
}

func (p *goProxied) zip(ctx context.Context, version string) (io.ReadCloser, error) {
	escaped, err := module.EscapeVersion(version)
	if err != nil {
		return nil, err
	}
	return p.open(ctx, "@v/"+escaped+".zip")
}

func (p *goProxied) info(ctx context.Context, file string) (string, time.Time, error) {
	content, err := p.get(ctx, file)
	if err != nil {
		return "", time.Time{}, err
	}
	var info struct {
		Version string
		Time    time.Time
	}
	if err := json.Unmarshal(content, &info); err != nil {
		return "", time.Time{}, fmt.Errorf("reading %s of %s: %w", file, p.place.Redacted(), err)
	}
	return info.Version, info.Time, nil
}

// get reads a small file of the proxy.
func (p *goProxied) get(ctx context.Context, file string) ([]byte, error) {
	content, err := p.open(ctx, file)
	if err != nil {
		return nil, err
	}
	defer content.Close()
	return io.ReadAll(http.MaxBytesReader(nil, content, mostCached))
}

// open opens a file of the proxy. 404 and 410 mean that it does not exist.
func (p *goProxied) open(ctx context.Context, file string) (io.ReadCloser, error) {
	where := below(p.place, file)
	if where.Scheme == "file" {
		content, err := os.Open(filepath.FromSlash(where.Path))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, ErrNotFound
		}
		return content, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, where.String(), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", userAgent)
	response, err := p.client.http.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode == http.StatusOK {
		return response.Body, nil
	}
	said, _ := io.ReadAll(io.LimitReader(response.Body, 4096)) // message of the answer, as far as it can be read
	answer := where.Host + " answers " + web.Refusal(response.StatusCode, said)
	response.Body.Close()
	switch response.StatusCode {
	case http.StatusNotFound, http.StatusGone:
		return nil, ErrNotFound
	case http.StatusUnauthorized:
		return nil, &fault.Fault{Kind: fault.Credentials, Err: errors.New(answer), Fix: "set user and password in GOPROXY, or in the file that NETRC names"}
	case http.StatusForbidden: // the answer of most proxies for a module that they do not serve
		return nil, &fault.Fault{Err: errors.New(answer), Fix: "this proxy does not serve the module: set another one in GOPROXY"}
	}
	return nil, errors.New(answer)
}

// goOff is the entry off of GOPROXY. It ends the search.
type goOff struct{}

var errGoOff = errors.New("GOPROXY is off: no other source is allowed")

func (goOff) list(context.Context) ([]string, error)          { return nil, errGoOff }
func (goOff) latest(context.Context) (string, error)          { return "", errGoOff }
func (goOff) date(context.Context, string) (time.Time, error) { return time.Time{}, errGoOff }
func (goOff) mod(context.Context, string) ([]byte, error)     { return nil, errGoOff }

func (goOff) zip(context.Context, string) (io.ReadCloser, error) { return nil, errGoOff }

// goDirect is a module in its repository. The go program finds and reads the repository.
type goDirect struct {
	path     string
	deadline time.Duration // per question
}

func (d goDirect) list(ctx context.Context) ([]string, error) {
	found, err := d.goList(ctx, "latest", "-versions", "-retracted")
	return found.Versions, err
}

func (d goDirect) latest(ctx context.Context) (string, error) {
	found, err := d.goList(ctx, "latest")
	return found.Version, err
}

func (d goDirect) date(ctx context.Context, version string) (time.Time, error) {
	found, err := d.goList(ctx, version)
	return found.Time, err
}

func (d goDirect) mod(ctx context.Context, version string) ([]byte, error) {
	found, err := d.goList(ctx, version)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(found.GoMod)
}

func (d goDirect) zip(ctx context.Context, version string) (io.ReadCloser, error) {
	out, err := d.run(ctx, version, "mod", "download", "-json")
	if err != nil {
		return nil, err
	}
	var found struct{ Zip string }
	if err := json.Unmarshal(out, &found); err != nil {
		return nil, err
	}
	return os.Open(found.Zip)
}

// goDirectEnv makes the go program use the repository, and never prompt.
var goDirectEnv = []string{"GOPROXY=direct", "GO111MODULE=on", "GOWORK=off", "GOFLAGS=", "GOTOOLCHAIN=local",
	"GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=true", "SSH_ASKPASS_REQUIRE=never"}

// goModuleInfo is the output of go list.
// https://pkg.go.dev/cmd/go#hdr-List_packages_or_modules
type goModuleInfo struct {
	Version  string
	Versions []string
	Time     time.Time
	GoMod    string // file
}

func (d goDirect) goList(ctx context.Context, version string, flags ...string) (goModuleInfo, error) {
	out, err := d.run(ctx, version, append([]string{"list", "-m", "-json"}, flags...)...)
	var found goModuleInfo
	if err == nil {
		err = json.Unmarshal(out, &found)
	}
	return found, err
}

// run asks the go program for a version.
func (d goDirect) run(ctx context.Context, version string, arguments ...string) ([]byte, error) {
	ctx, cancel := bounded(ctx, d.deadline)
	defer cancel()
	out, err := runGo(ctx, goDirectEnv, append(arguments, "--", d.path+"@"+version)...)
	return out, cause(ctx, err)
}
