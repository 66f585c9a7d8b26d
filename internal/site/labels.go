package site

import (
	"fmt"
	"strings"

	"github.com/libresh/libre/internal/text"
)

// codes are the languages of the pages. The first has no folder of its own.
var codes = []string{"en", "fr"}

var names = map[string]string{"en": "English", "fr": "Français"}

// units are the units of sizes, each a thousand of the one before.
var units = map[string][]string{"en": {"B", "kB", "MB", "GB", "TB"}, "fr": {"o", "ko", "Mo", "Go", "To"}}

// label is a text of ours in the language. English texts are the names of labels, apart from
// technical words. What is none, such as a word of a database, is shown as it is.
func (l *language) label(name string) string {
	if translated, known := labels[l.Code][name]; known {
		return translated
	}
	return text.Line(name)
}

// count is a label with a number. The name has the singular and, if that is another, the
// plural, separated by a bar.
func (l *language) count(n int, name string) string {
	one, many, other := strings.Cut(l.label(name), "|")
	if other && n != 1 && (l.Code != "fr" || n != 0) { // French has "0 image"
		one = many
	}
	return fmt.Sprintf(one, n)
}

var labels = map[string]map[string]string{"en": english, "fr": french}

// english has the texts of technical words.
var english = map[string]string{
	"negligible": "negligible", "search": "search engine", "volume": "volume", "app": "another app",
	"not_affected": "not affected", "under_investigation": "under investigation",
	"component_not_present":                             "the component is not present",
	"vulnerable_code_not_present":                       "the vulnerable code is not present",
	"vulnerable_code_not_in_execute_path":               "the vulnerable code is not executed",
	"vulnerable_code_cannot_be_controlled_by_adversary": "no attacker controls the vulnerable code",
	"inline_mitigations_already_exist":                  "what protects from it is there already",
	"automatic":                                         "automatic, at the upgrade", "manual": "by the operator", "none": "none",
}

var french = map[string]string{
	"Skip to the content": "Aller au contenu", "Language": "Langue", "Breadcrumb": "Fil d’Ariane", "Pages": "Pages",
	"Copy": "Copier", "Copied": "Copié", "Applications": "Applications",
	"%d application|%d applications": "%d application|%d applications", "%d image|%d images": "%d image|%d images",
	"%d component|%d components": "%d composant|%d composants", "%d setting|%d settings": "%d paramètre|%d paramètres",
	"Each image has a signature, a list of its contents and its known vulnerabilities.": "Chaque image est accompagnée d’une signature, de la liste de son contenu et des vulnérabilités connues.",
	"Search": "Rechercher", "all": "toutes", "Sort by": "Trier par", "name": "nom", "newest release": "version la plus récente",
	"fewest vulnerabilities": "moins de vulnérabilités", "{n} of {all} shown": "{n} sur {all} affichés",
	"Only this page is searched: the browser does not read the others.": "La recherche ne porte que sur cette page : le navigateur ne lit pas les autres.",
	"not published yet": "pas encore publiée", "%d release does not verify|%d releases do not verify": "%d version non vérifiée|%d versions non vérifiées",
	"No release is published yet. This is what the definition says.": "Aucune version n’est encore publiée. Voici ce qu’en dit la définition.",
	"No release of this app verifies.":                               "Aucune version de cette application n’est vérifiée.",

	"Releases": "Versions", "Release": "Version", "All releases": "Toutes les versions", "Variant": "Variante",
	"Feed of releases": "Flux des versions",
	"Date":             "Date", "Signature": "Signature", "Vulnerabilities": "Vulnérabilités", "Vulnerability": "Vulnérabilité", "vulnerabilities": "vulnérabilités",
	"Digest": "Empreinte", "Digest for this platform": "Empreinte pour cette plate-forme", "Reference": "Référence", "Size": "Taille", "Size of all images": "Taille de toutes les images", "Images": "Images",
	"verified": "vérifiée", "does not verify": "non vérifiée", "This release does not verify.": "Cette version n’est pas vérifiée.",
	"This image does not verify.": "Cette image n’est pas vérifiée.",
	"Its signature is missing, is by somebody else, or its tag was moved. Nothing that it says of itself is shown. Do not use it.": "Sa signature manque, vient de quelqu’un d’autre, ou son étiquette a été déplacée. Rien de ce qu’elle dit d’elle-même n’est affiché. Ne l’utilisez pas.",
	"This release was withdrawn. Do not use it.": "Cette version a été retirée. Ne l’utilisez pas.", "Use this one instead:": "Utilisez plutôt celle-ci :", "withdrawn": "retirée",
	"not scanned": "non analysée", "none open": "aucune ouverte", "%d settled": "%d traitée|%d traitées",
	"Vulnerabilities are those of the database of": "Les vulnérabilités sont celles de la base du",
	"No vulnerability database was asked.":         "Aucune base de vulnérabilités n’a été consultée.",
	"Public key":                                   "Clé publique",

	"Licence": "Licence", "Licences": "Licences", "Home page": "Site web", "Source": "Code source", "Changelog": "Journal des modifications",
	"Migration": "Migration", "Upgrades from": "Mise à niveau depuis", "unknown": "inconnue",
	"automatic": "automatique, lors de la mise à niveau", "manual": "par l’exploitant", "none": "aucune",
	"What it needs": "Besoins", "required": "obligatoire", "optional": "facultatif", "secret": "secret",
	"search": "moteur de recherche", "volume": "volume", "app": "une autre application",
	"Ports": "Ports", "Component": "Composant", "Port": "Port", "Number": "Numéro", "Access": "Accès", "Health check": "Contrôle de santé",
	"public": "public", "internal": "interne", "Settings": "Paramètres", "Variable": "Variable", "Meaning": "Signification", "Default": "Valeur par défaut",
	"and %d more": "et %d de plus",

	"Use it": "L’utiliser", "The commands take the public key of this catalogue:": "Les commandes prennent la clé publique de ce catalogue :",
	"Pull": "Télécharger", "Verify": "Vérifier", "Verify with cosign": "Vérifier avec cosign", "Run": "Essayer", "Run with compose": "Essayer avec compose", "Render": "Générer",
	"The digest names the exact content. docker pull takes the same words.":      "L’empreinte désigne le contenu exact. docker pull prend les mêmes mots.",
	"Signatures, lists of contents and provenance of all images of the release.": "Les signatures, les listes de contenu et la provenance de toutes les images de la version.",
	"On this machine, to try it, until you interrupt it.":                        "Sur cette machine, pour l’essayer, jusqu’à ce que vous l’interrompiez.",
	"The same as a file, with a server for each need.":                           "La même chose sous forme de fichier, avec un serveur pour chaque besoin.",
	"The Kubernetes objects that run it.":                                        "Les objets Kubernetes qui la font fonctionner.",

	"Changes since": "Changements depuis", "Change": "Changement", "Name": "Nom", "Before": "Avant", "After": "Après", "All of it": "La comparaison entière",
	"Size:": "Taille :", "an upgrade fetches": "une mise à niveau télécharge", "Vulnerabilities:": "Vulnérabilités :",
	"%d fixed": "%d corrigée|%d corrigées", "%d new": "%d nouvelle|%d nouvelles", "Upstream's notes for": "Notes de l’éditeur pour",
	"added": "ajouté", "removed": "retiré", "changed": "modifié", "new": "nouvelle", "fixed": "corrigée",
	"What the app is and needs": "L’application et ses besoins", "Images and their configuration": "Les images et leur configuration", "Packages": "Paquets",
	"Only the package version changed: no migration.":       "Seule la version du paquet change : aucune migration.",
	"This upgrade is not possible in one step.":             "Cette mise à niveau n’est pas possible en une étape.",
	"Upgrade to this version first:":                        "Mettez d’abord à niveau vers cette version :",
	"The data is migrated automatically.":                   "Les données sont migrées automatiquement.",
	"The operator migrates the data.":                       "L’exploitant migre les données.",
	"No migration.":                                         "Aucune migration.",
	"The definition does not say how the data is migrated.": "La définition ne dit pas comment les données sont migrées.",

	"Contents": "Contenu", "Version": "Version", "Kind": "Type", "Download as": "Télécharger en",
	"Severity": "Gravité", "Fixed in": "Corrigée dans", "Answer": "Réponse", "exploited": "exploitée", "The database knows none.": "La base n’en connaît aucune.",
	"critical": "critique", "high": "élevée", "medium": "moyenne", "low": "faible", "negligible": "négligeable",
	"not_affected": "non affectée", "affected": "affectée", "under_investigation": "à l’étude",
	"component_not_present":                             "le composant est absent",
	"vulnerable_code_not_present":                       "le code vulnérable est absent",
	"vulnerable_code_not_in_execute_path":               "le code vulnérable n’est pas exécuté",
	"vulnerable_code_cannot_be_controlled_by_adversary": "aucun attaquant ne contrôle le code vulnérable",
	"inline_mitigations_already_exist":                  "une protection est déjà en place",
}
