package containerfile

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/fault"
)

// proxies lists the variables that name proxies. Their values may contain a password.
var proxies = []string{"HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY", "NO_PROXY", "SOCKS_SERVER", "GIT_PROXY_COMMAND"}

func isProxy(variable string) bool {
	name, _, _ := strings.Cut(variable, "=")
	return slices.Contains(proxies, strings.ToUpper(name))
}

// isForFetching reports whether a variable configures what the engine fetches. Steps do
// not get these variables.
func isForFetching(variable string) bool {
	name, _, _ := strings.Cut(variable, "=")
	return isProxy(variable) || slices.ContainsFunc([]string{"REGISTRY_AUTH_FILE", "CONTAINERS_REGISTRIES_CONF", "DOCKER_", "SSH_", "GIT_"},
		func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// proxy is the URL of the proxy for steps, or "".
type proxy string

// newProxy checks that text is the URL of a proxy: steps can read it, so it must not be
// just any variable's value. The error does not quote it.
func newProxy(text string) (proxy, error) {
	if text == "" {
		return "", nil
	}
	if variable, ok := strings.CutPrefix(text, "env://"); ok {
		return "", &fault.Fault{
			Err: fmt.Errorf("the variable %s, named by build.proxy in libre.yaml, is not set", variable),
			Fix: "set it to the URL of the proxy, or to nothing for no proxy",
		}
	}
	u, err := url.Parse(text)
	if err != nil || !slices.Contains([]string{"http", "https", "socks4", "socks4a", "socks5", "socks5h"}, u.Scheme) ||
		u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", &fault.Fault{
			Err: errors.New("the proxy for build steps is not the URL of a proxy"),
			Fix: "set build.proxy in libre.yaml, or the variable that it names, to a URL such as http://proxy.example:3128",
		}
	}
	return proxy(text), nil
}

// variables returns NAME=VALUE in upper and lower case, as docker and BuildKit set them.
func (p proxy) variables() []string {
	if p == "" {
		return nil
	}
	var all []string
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		all = append(all, name+"="+string(p))
	}
	return all
}

// flags returns the flags of "build" that pass the variables to steps. The values come
// from the environment, where other users cannot read them. The history contains the
// names if the file declares them with ARG.
func (p proxy) flags() []string {
	var flags []string
	for _, variable := range p.variables() {
		name, _, _ := strings.Cut(variable, "=")
		flags = append(flags, "--build-arg="+name)
	}
	return flags
}

// secrets returns the values to mask in logs: the URL and its credentials.
func (p proxy) secrets() []string {
	u, err := url.Parse(string(p))
	if p == "" || err != nil {
		return nil
	}
	values := []string{string(p)}
	if password, ok := u.User.Password(); ok {
		values = append(values, password, u.User.Username()+":"+password)
	}
	return values
}
