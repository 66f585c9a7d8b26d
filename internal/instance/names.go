package instance

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"github.com/libresh/libre/internal/lazyregexp"
)

// dnsLabel is a name that all of Kubernetes' objects can have:
// https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#rfc-1035-label-names
var dnsLabel = lazyregexp.New(`^[a-z]([a-z0-9-]*[a-z0-9])?$`)

// hostLabel is a part of a host name: RFC 1123, section 2.1.
var hostLabel = lazyregexp.New(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// mostName is the largest length of a name. It leaves room for the names of services in a
// DNS label of 63 characters.
const mostName = 40

// label makes a DNS label of an app's name.
func label(name string) string {
	return strings.NewReplacer(".", "-", "_", "-").Replace(name)
}

// mostObjectName is the length of names that all kinds of Kubernetes can have: of a CronJob,
// whose jobs have longer ones, and a StatefulSet, whose pods have a label with more.
const mostObjectName = 52

// ObjectName names a part of the instance: a service, a need, or its Secret. "" is the
// instance itself.
func (i *Instance) ObjectName(of string) string {
	if of == "" {
		return i.Name
	}
	return Shortened(i.Name+"-"+NamePart(of), mostObjectName)
}

var notInNames = lazyregexp.New(`[^a-z0-9]+`)

// NamePart is a text as part of a DNS label: lower-case letters, digits and hyphens.
func NamePart(text string) string {
	return strings.Trim(notInNames().ReplaceAllString(strings.ToLower(text), "-"), "-")
}

// Shortened is a name of at most so many characters. A longer one ends in its hash.
func Shortened(name string, most int) string {
	if len(name) <= most {
		return name
	}
	end := "-" + ShortHash([]byte(name))
	return strings.TrimRight(name[:most-len(end)], "-") + end
}

// ShortHash is the beginning of a content's SHA-256, enough to tell what an instance has.
func ShortHash(content []byte) string { return fmt.Sprintf("%x", sha256.Sum256(content))[:8] }

func checkLabel(name string) error {
	if !dnsLabel().MatchString(name) {
		return fmt.Errorf("%q cannot name an instance: use lower-case letters, digits and hyphens, beginning with a letter", name)
	}
	if len(name) > mostName {
		return fmt.Errorf("%q is longer than %d characters: give a shorter --name", name, mostName)
	}
	return nil
}

func checkHost(host string) error {
	if host == "" {
		return errors.New("the app has no host name: give --host, such as docs.example.org")
	}
	labels := strings.Split(host, ".")
	wrong := len(host) > 253 || strings.Trim(labels[len(labels)-1], "0123456789") == ""
	for _, part := range labels {
		wrong = wrong || !hostLabel().MatchString(part)
	}
	if wrong {
		return fmt.Errorf("--host %q is not a DNS name: give one such as docs.example.org, without https://, port or path", host)
	}
	return nil
}
