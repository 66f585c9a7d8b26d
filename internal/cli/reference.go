package cli

import (
	"fmt"
	"strings"
)

// isReference reports whether a word is a reference, which has a registry and a tag or
// digest. Otherwise it is a selection.
func isReference(word string) bool {
	return strings.Contains(word, "/") && strings.Contains(word[strings.LastIndex(word, "/"):], ":") || strings.Contains(word, "@sha256:")
}

// isRepository reports whether a word is a repository in a registry, without a tag.
// Otherwise it is a selection.
func isRepository(word string) bool {
	host, _, below := strings.Cut(word, "/")
	return below && !strings.HasPrefix(host, ".") && (strings.ContainsAny(host, ".:") || host == "localhost") && !strings.ContainsAny(word, "*?") && !isReference(word)
}

// prefixOf returns the REGISTRY[/NAMESPACE] of a repository or reference.
func prefixOf(word string) (string, error) {
	slash := strings.LastIndex(word, "/")
	if slash <= 0 || slash == len(word)-1 {
		return "", usageError{fmt.Errorf("%s has no registry: give REGISTRY[/NAMESPACE]/NAME:TAG, or @sha256:DIGEST in place of the tag", word)}
	}
	return word[:slash], nil
}

// noTag returns the error for a repository in place of a reference.
func noTag(word string) error {
	return usageError{fmt.Errorf("%s is a repository, not a release: add a tag, such as %s:1.2.3-1, or a digest; libre list %s lists its releases", word, word, word)}
}

// about returns an error that names the reference that it is about, once.
func about(reference string, err error) error {
	if strings.Contains(err.Error(), reference) {
		return err
	}
	return fmt.Errorf("%s: %w", reference, err)
}
