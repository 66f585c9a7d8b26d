package cli

import (
	"fmt"
	"strings"
)

// isReference tells a reference, which has a registry and a tag or digest, from a
// selection.
func isReference(word string) bool {
	return strings.Contains(word, "/") && strings.Contains(word[strings.LastIndex(word, "/"):], ":") || strings.Contains(word, "@sha256:")
}

// isRepository tells a repository in a registry, without a tag, from a selection.
func isRepository(word string) bool {
	host, _, below := strings.Cut(word, "/")
	return below && !strings.HasPrefix(host, ".") && (strings.ContainsAny(host, ".:") || host == "localhost") && !strings.ContainsAny(word, "*?") && !isReference(word)
}

// prefixOf is the REGISTRY[/NAMESPACE] of a repository or reference.
func prefixOf(word string) (string, error) {
	slash := strings.LastIndex(word, "/")
	if slash <= 0 || slash == len(word)-1 {
		return "", usageError{fmt.Errorf("%s has no registry: give REGISTRY[/NAMESPACE]/NAME:TAG, or @sha256:DIGEST in place of the tag", word)}
	}
	return word[:slash], nil
}

// noTag is the error for a repository in place of a reference.
func noTag(word string) error {
	return usageError{fmt.Errorf("%s is a repository, not a release: add a tag, such as %s:1.2.3-1, or a digest; libre list %s lists its releases", word, word, word)}
}

// about is an error that names the reference which it is about, once.
func about(reference string, err error) error {
	if strings.Contains(err.Error(), reference) {
		return err
	}
	return fmt.Errorf("%s: %w", reference, err)
}
