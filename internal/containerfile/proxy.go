package containerfile

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/fault"
)

// proxies are the variables by which programs find a proxy. Their values may hold a
// password.
var proxies = []string{"HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY", "NO_PROXY", "SOCKS_SERVER", "GIT_PROXY_COMMAND"}

func isProxy(variable string) bool {
	name, _, _ := strings.Cut(variable, "=")
	return slices.Contains(proxies, strings.ToUpper(name))
}

// isForFetching says whether a variable is about what the engine fetches: no build does.
func isForFetching(variable string) bool {
	name, _, _ := strings.Cut(variable, "=")
	return isProxy(variable) || slices.ContainsFunc([]string{"REGISTRY_AUTH_FILE", "CONTAINERS_REGISTRIES_CONF", "DOCKER_", "SSH_", "GIT_"},
		func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// proxy is the URL of the proxy of steps, or "".
type proxy string

// newProxy takes nothing but what a proxy's URL is: any text of a variable would be in
// reach of steps. The error does not quote it.
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

// variables are NAME=VALUE in both spellings, as docker and BuildKit set them.
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

// flags are those of "build" that give steps the variables, without their values: these
// are taken from the environment, where nobody else reads them. A history names them
// where the file declares them with ARG.
func (p proxy) flags() []string {
	var flags []string
	for _, variable := range p.variables() {
		name, _, _ := strings.Cut(variable, "=")
		flags = append(flags, "--build-arg="+name)
	}
	return flags
}

// hidden are what no log says: the URL, and a login in it as it is sent.
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
