package newapp

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/libresh/libre/internal/text"
)

// need is a need to be, with the variables by which the program takes it.
type need struct {
	env map[string]string // PART by variable
}

// need adds a need of a kind. why is not from outside, but for names that are safe to show.
func (f *Findings) need(kind, why string) *need {
	if f.needs[kind] == nil {
		f.needs[kind] = &need{map[string]string{}}
		f.guessed("needs %s: %s", kind, why)
	}
	return f.needs[kind]
}

// variable is an environment variable of the program.
type variable struct {
	name    string
	value   string // an example
	comment string
}

// parts are the variables that programs read, by need and part. A database's kind is that of
// the Compose file, or of the variable's name.
var parts = []struct{ kind, part, names string }{
	{"database", "url", `(DATABASE|DB|POSTGRES|POSTGRESQL|PG|MYSQL)_(URL|URI|DSN)`},
	{"database", "host", `(DATABASE|DB|POSTGRES|POSTGRESQL|MYSQL)_(HOST|HOSTNAME|SERVER)|PGHOST`},
	{"database", "port", `(DATABASE|DB|POSTGRES|POSTGRESQL|MYSQL)_PORT|PGPORT`},
	{"database", "name", `(DATABASE|DB|POSTGRES|POSTGRESQL|MYSQL)_(NAME|DB|DATABASE)|PGDATABASE`},
	{"database", "user", `(DATABASE|DB|POSTGRES|POSTGRESQL|MYSQL)_(USER|USERNAME)|PGUSER`},
	{"database", "password", `(DATABASE|DB|POSTGRES|POSTGRESQL|MYSQL)_(PASS|PASSWORD)|PGPASSWORD`},
	{"redis", "url", `(REDIS|VALKEY)_(URL|URI|DSN)`},
	{"redis", "host", `(REDIS|VALKEY)_(HOST|HOSTNAME|SERVER)`},
	{"redis", "port", `(REDIS|VALKEY)_PORT`},
	{"redis", "password", `(REDIS|VALKEY)_(PASS|PASSWORD)`},
	{"smtp", "url", `(SMTP|MAIL|MAILER)_(URL|DSN)`},
	{"smtp", "host", `(SMTP|MAIL|EMAIL)_(HOST|SERVER|SMTP_HOST)`},
	{"smtp", "port", `(SMTP|MAIL|EMAIL)_(PORT|SMTP_PORT)`},
	{"smtp", "user", `(SMTP|MAIL|EMAIL)_(USER|USERNAME|HOST_USER)`},
	{"smtp", "password", `(SMTP|MAIL|EMAIL)_(PASS|PASSWORD|HOST_PASSWORD)`},
	{"smtp", "from", `(SMTP|MAIL|EMAIL)_(FROM|FROM_ADDRESS|SENDER)|DEFAULT_FROM_EMAIL`},
	{"bucket", "endpoint", `(AWS_)?S3_ENDPOINT(_URL)?|AWS_ENDPOINT_URL(_S3)?|MINIO_ENDPOINT`},
	{"bucket", "region", `(AWS_)?S3_REGION(_NAME)?|AWS_(DEFAULT_)?REGION`},
	{"bucket", "name", `(AWS_)?S3_BUCKET(_NAME)?|AWS_STORAGE_BUCKET_NAME|MINIO_BUCKET`},
	{"bucket", "accessKey", `(AWS_)?S3_ACCESS_KEY(_ID)?|AWS_ACCESS_KEY_ID|MINIO_ACCESS_KEY`},
	{"bucket", "secretKey", `(AWS_)?S3_SECRET(_ACCESS)?_KEY|AWS_SECRET_ACCESS_KEY|MINIO_SECRET_KEY`},
	{"oidc", "issuer", `OIDC_(ISSUER(_URL)?|OP_URL|PROVIDER_URL)`},
	{"oidc", "clientId", `OIDC_(RP_)?CLIENT_ID`},
	{"oidc", "clientSecret", `OIDC_(RP_)?CLIENT_SECRET`},
	{"oidc", "authorizationEndpoint", `OIDC_OP_AUTHORIZATION_ENDPOINT`},
	{"oidc", "tokenEndpoint", `OIDC_OP_TOKEN_ENDPOINT`},
	{"oidc", "userinfoEndpoint", `OIDC_OP_USER_ENDPOINT`},
	{"oidc", "jwksUri", `OIDC_OP_JWKS_ENDPOINT`},
	{"oidc", "endSessionEndpoint", `OIDC_OP_LOGOUT_ENDPOINT`},
	{"search", "url", `(MEILI|MEILISEARCH|ELASTICSEARCH|OPENSEARCH)_(URL|HOST)`},
	{"search", "apiKey", `(MEILI|MEILISEARCH)_(API_KEY|MASTER_KEY)`},
	{"livekit", "url", `LIVEKIT_(URL|API_URL)`},
	{"livekit", "apiKey", `LIVEKIT_API_KEY`},
	{"livekit", "apiSecret", `LIVEKIT_API_SECRET`},
}

var partPatterns = sync.OnceValue(func() (all []*regexp.Regexp) {
	for _, one := range parts {
		all = append(all, regexp.MustCompile(`\A(?:`+one.names+`)\z`))
	}
	return all
})

// place makes a variable part of a need, if its name is known.
func (f *Findings) place(name string) bool {
	for i, one := range parts {
		if !partPatterns()[i].MatchString(name) {
			continue
		}
		kind := one.kind
		if kind == "database" {
			kind = f.databaseOf(name)
		}
		f.need(kind, "there is a variable "+text.Name(name)).env[name] = one.part
		return true
	}
	return false
}

func (f *Findings) databaseOf(name string) string {
	switch {
	case strings.HasPrefix(name, "MYSQL"), f.needs["mysql"] != nil && !strings.HasPrefix(name, "P"):
		return "mysql"
	}
	return "postgres"
}

// needsSet are the needs as a definition has them.
func (f *Findings) needsSet() set {
	var s set
	for _, kind := range slices.Sorted(maps.Keys(f.needs)) {
		var env set
		for _, name := range slices.Sorted(maps.Keys(f.needs[kind].env)) {
			env.add("$("+f.needs[kind].env[name]+")", name)
		}
		if len(env) > 0 {
			s.add(env, kind, "env")
		} else {
			s.add(set{}, kind)
		}
	}
	return s
}
