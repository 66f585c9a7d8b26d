package upstream

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/file"
)

// NixLogins are Nix's settings for logins.
// https://nix.dev/manual/nix/latest/command-ref/conf-file
type NixLogins struct {
	AccessTokens string // access-tokens: words HOST[/PATH]=TOKEN
	Netrc        string // netrc-file, a path
}

// readAccessTokens reads Nix's setting. A token of GitLab has its kind in front: PAT:TOKEN or
// OAuth2:TOKEN.
func readAccessTokens(setting string) credentials {
	var all credentials
	for _, word := range strings.Fields(setting) {
		place, token, found := strings.Cut(word, "=")
		if !found || token == "" {
			continue
		}
		c := credential{scheme: "Basic", token: token, from: "Nix's access-tokens"}
		host, path, below := strings.Cut(place, "/")
		if c.origin = host; below {
			c.prefix = "/" + strings.Trim(path, "/")
		}
		if kind, secret, typed := strings.Cut(token, ":"); typed && kind == "PAT" {
			c.scheme, c.token = gitLab, secret
		} else if typed && kind == "OAuth2" {
			c.scheme, c.user, c.token = gitLabOAuth, gitLabUser, secret
		}
		all = append(all, c)
	}
	return all
}

// forHost returns the token for a whole host, used for its API on another host.
func (all credentials) forHost(host string) credential {
	i := slices.IndexFunc(all, func(c credential) bool { return c.origin == host && c.prefix == "" })
	if i < 0 {
		return credential{}
	}
	return all[i]
}

// readNetrcs reads the files in which git, curl and Nix look for logins: the files that NETRC
// and Nix name, and .netrc in the home folder. It skips files that it cannot read, as these
// programs do.
func readNetrcs(getenv func(string) string, ofNix string) credentials {
	var all credentials
	for _, path := range []string{getenv("NETRC"), filepath.Join(getenv("HOME"), ".netrc"), ofNix} {
		if !filepath.IsAbs(path) {
			continue
		}
		if content, err := file.Read(path); err == nil {
			all = append(all, readNetrc(string(content), path)...)
		}
	}
	return all
}

// readNetrc reads machines with their logins. It skips the entry "default", because every host
// in a definition would get its password.
// https://everything.curl.dev/usingcurl/netrc.html
func readNetrc(content, path string) credentials {
	var all credentials
	words := netrcWords(content)
	for len(words) > 0 {
		word := words[0]
		words = words[1:]
		if len(words) == 0 || word != "machine" {
			continue // default, and what follows it
		}
		c := credential{origin: words[0], scheme: "Basic", from: path}
		words = words[1:]
		for len(words) >= 2 && slices.Contains([]string{"login", "password", "account"}, words[0]) {
			switch words[0] {
			case "login":
				c.user = words[1]
			case "password":
				c.token = words[1]
			}
			words = words[2:]
		}
		if c.token != "" {
			all = append(all, c)
		}
	}
	return all
}

// netrcWords splits a netrc into words. A comment ends at the end of its line, and a macro at
// an empty line. A quoted word may contain \n, \r, \t, and \X for X.
func netrcWords(content string) []string {
	var words []string
	inMacro := false
	for line := range strings.Lines(content) {
		line = strings.TrimSpace(line)
		if inMacro || strings.HasPrefix(line, "#") {
			inMacro = inMacro && line != ""
			continue
		}
		for line != "" {
			var word string
			word, line = netrcWord(line)
			if inMacro = word == "macdef"; inMacro {
				break
			}
			words = append(words, word)
		}
	}
	return words
}

// netrcWord splits off the first word of a line. The line must begin with a word.
func netrcWord(line string) (word, rest string) {
	if line[0] != '"' {
		end := strings.IndexAny(line, " \t")
		if end < 0 {
			return line, ""
		}
		return line[:end], strings.TrimLeft(line[end:], " \t")
	}
	var unquoted strings.Builder
	for i := 1; i < len(line); i++ {
		switch {
		case line[i] == '"':
			return unquoted.String(), strings.TrimLeft(line[i+1:], " \t")
		case line[i] == '\\' && i+1 < len(line):
			i++
			char := line[i]
			if at := strings.IndexByte("nrt", char); at >= 0 {
				char = "\n\r\t"[at]
			}
			unquoted.WriteByte(char)
		default:
			unquoted.WriteByte(line[i])
		}
	}
	return unquoted.String(), ""
}
