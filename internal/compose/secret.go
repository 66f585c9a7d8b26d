package compose

import (
	"fmt"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/instance"
	"github.com/libresh/libre/internal/lazyregexp"
)

// secrets are the secrets in SecretsFile.
type secrets struct {
	known   map[string]string
	content []byte
}

var variableName = lazyregexp.New(`^[A-Za-z_][A-Za-z0-9_]*$`)

// readSecrets reads SecretsFile. Errors have no values.
func readSecrets(content []byte) (*secrets, error) {
	s := &secrets{known: map[string]string{}, content: slices.Clone(content)}
	n := 0
	for line := range strings.Lines(string(content)) {
		n++
		line = strings.TrimRight(line, "\r\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, given := strings.Cut(line, "=")
		if !given || !variableName().MatchString(name) {
			return nil, fmt.Errorf("%s:%d: expected NAME=VALUE", SecretsFile, n)
		}
		if err := checkSecret(name, value); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", SecretsFile, n, err)
		}
		s.known[name] = value
	}
	if len(content) > 0 && !strings.HasSuffix(string(content), "\n") {
		s.content = append(s.content, '\n')
	}
	return s, nil
}

// checkSecret refuses a value that a line of a file cannot contain.
func checkSecret(name, value string) error {
	if strings.ContainsAny(value, "\n\r\x00") {
		return fmt.Errorf("the secret %s has more than one line", name)
	}
	return nil
}

// secret is a secret by its name, which is made and kept if it is new.
func (r *renderer) secret(name string) string {
	if value, known := r.secrets.known[name]; known {
		return value
	}
	value := r.o.Random()
	r.keep(name, value)
	return value
}

// keep adds a secret to SecretsFile.
func (r *renderer) keep(name, value string) {
	r.secrets.known[name] = value
	r.secrets.content = fmt.Appendf(r.secrets.content, "%s=%s\n", name, value)
}

// part is a secret part of a need.
func (r *renderer) part(need, part string) string {
	return r.secret(instance.PartVariable(need, part))
}
