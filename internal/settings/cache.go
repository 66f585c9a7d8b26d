package settings

import (
	"errors"
	"net/url"
	"path/filepath"

	"gopkg.in/yaml.v3"
)

// Cache is a Nix binary cache that receives built outputs. Both fields are empty if there is
// none.
type Cache struct {
	To  string // file://, https:// or s3://
	Key string // secret key for signing: a file with an absolute path, or env://VARIABLE
}

func (c *Cache) keys() []key {
	return []key{
		{"to", "", "the address of a binary cache of Nix: file://, https:// or s3://", "to: s3://cache.example?region=eu-west-1", text(&c.To, checkCache)},
		{"key", "", "a file with the secret key, or env://VARIABLE", "key: env://CACHE_KEY", text(&c.Key, checkKeyName)},
	}
}

// readCache reads both keys, or neither.
func readCache(into *Cache, dir string) reader {
	return func(at location, node *yaml.Node) error {
		if err := mapping(into.keys())(at, node); err != nil {
			return err
		}
		if (into.To == "") != (into.Key == "") {
			return at.wrong(node, "it needs both")
		}
		into.Key = inFolder(dir, into.Key)
		return nil
	}
}

func checkCache(address string) error {
	to, err := url.Parse(address)
	switch {
	case err != nil:
		return errWord // err contains the value, which may have a password
	case to.User != nil:
		return errors.New("it contains a login: write that into the file of netrc-file in nix.conf")
	case to.Query().Has("secret-key"):
		return errors.New("secret-key is in it: name the file with cache.key")
	case to.Scheme == "file" && to.Host == "" && filepath.IsAbs(to.Path),
		(to.Scheme == "https" || to.Scheme == "http" || to.Scheme == "s3") && to.Host != "":
		return nil
	}
	return errWord
}
