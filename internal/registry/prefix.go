package registry

import (
	"errors"
	"net"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// CheckPrefix returns why a text is not a REGISTRY[/NAMESPACE], or nil. REGISTRY is a host
// with an optional port. A single word would mean a namespace of Docker Hub, which is
// written docker.io/NAMESPACE.
func CheckPrefix(prefix string) error {
	host, namespace, _ := strings.Cut(strings.TrimSuffix(prefix, "/"), "/")
	switch {
	case prefix == "":
		return errors.New("it is empty")
	case strings.Contains(prefix, "://"):
		return errors.New("it has a scheme")
	case strings.Contains(prefix, "@"):
		return errors.New("it has an @: store logins with libre login; a digest belongs to a reference")
	case strings.ContainsAny(prefix, " \t\r\n"):
		return errors.New("it has a space")
	case strings.Contains(namespace, ":"):
		return errors.New("it has a tag")
	case namespace != strings.ToLower(namespace):
		return errors.New("its namespace has upper case letters")
	case !strings.ContainsAny(host, ".:") && host != "localhost":
		return errors.New("it has no host: for Docker Hub, write docker.io/" + strings.ToLower(host))
	}
	if err := checkHost(host); err != nil {
		return err
	}
	for _, part := range strings.Split(namespace, "/") {
		if namespace != "" && (part == "" || strings.Trim(part, "abcdefghijklmnopqrstuvwxyz0123456789_-.") != "" || strings.Trim(part, "_-.") == "") {
			return errors.New("its namespace has other characters than letters, digits, and _ - . between them")
		}
	}
	_, err := name.NewRepository(strings.TrimSuffix(prefix, "/")+"/x", name.StrictValidation)
	return err
}

func checkHost(host string) error {
	bare := host
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		bare = host[:i]
		if n, err := strconv.Atoi(host[i+1:]); err != nil || n < 1 || n > 65535 {
			return errors.New("its port is not a number from 1 to 65535")
		}
	}
	if strings.HasPrefix(bare, "[") && net.ParseIP(strings.Trim(bare, "[]")) != nil {
		return nil
	}
	if bare == "" || strings.Trim(strings.ToLower(bare), "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" {
		return errors.New("its host has other characters than letters, digits, dots and hyphens")
	}
	return nil
}

// withoutLogin hides the text before an @, which may be a password.
func withoutLogin(prefix string) string {
	if i := strings.LastIndexByte(prefix, '@'); i >= 0 {
		return "…" + prefix[i:]
	}
	return prefix
}
