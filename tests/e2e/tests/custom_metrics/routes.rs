//! The script of docs/routes.md lists the routes of a Django project as `import-openapi` reads them.

use std::path::Path;
use std::process::Command;

use route_metrics::command::openapi::Import;
use route_metrics::endpoint::{CanonicalPath, Found};
use route_metrics::plan::{self, Capacity};
use route_metrics_e2e::{django, repository};

const SETTINGS: &str = r#"
SECRET_KEY = "for this test"
ROOT_URLCONF = "urls"
INSTALLED_APPS = ["django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes",
                  "django.contrib.messages", "django.contrib.sessions"]
"#;

const URLS: &str = r#"
from django.contrib import admin
from django.urls import include, path, re_path

def view(request, **values): ...

shop = [
    path("", view),
    path("products/<slug:name>/", view),
    path("files/<path:name>", view),
    re_path(r"^archive/(?P<year>[0-9]{4})/$", view),
    re_path(r"^feed\.xml$", view),
]
urlpatterns = [path("admin/", admin.site.urls), path("shop/<int:tenant>/", include(shop)), path("", view)]
"#;

#[test]
fn the_routes_of_django_become_templates() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let script = django::blocks("routes.md", "python").remove(0);
    for (name, text) in [("settings.py", SETTINGS), ("urls.py", URLS), ("routes.py", &script)] {
        std::fs::write(folder.path().join(name), text).expect("the folder is writable");
    }
    let output = Command::new(repository().join(".tools/django/bin/python"))
        .arg("routes.py")
        .current_dir(folder.path())
        .env("DJANGO_SETTINGS_MODULE", "settings")
        .output()
        .expect("`tests/setup.sh django` installs it");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let mut import = Import::default();
    import.add(Path::new("routes"), &output.stdout).expect("it is a specification");
    let configuration = import.configuration().0.to_string();
    let plan = plan::load(configuration.as_bytes(), |_| None, Capacity::Checked)
        .unwrap_or_else(|mistakes| panic!("{configuration}: {mistakes:?}"));
    let label = |path: &str| match plan.endpoints.find(b"GET", &CanonicalPath::new(path.as_bytes()))
    {
        Found::Configured(index) => plan.endpoints.labels()[index as usize].as_str(),
        _ => "_UNMATCHED",
    };
    for (path, expected) in [
        ("/", "/"),
        ("/shop/7/", "/shop/{tenant}"),
        ("/shop/7/products/blue-shoe/", "/shop/{tenant}/products/{name}"),
        ("/shop/7/files/a/b.txt", "/shop/{tenant}/files/{*name}"),
        ("/shop/7/archive/2026/", "/shop/{tenant}/archive/{year}"),
        ("/shop/7/feed.xml", "/shop/{tenant}/feed.xml"),
        ("/admin/", "/admin"),
        ("/admin/login/", "/admin/login"),
        ("/admin/auth/user/", "/admin/auth/user"),
        ("/admin/auth/user/5/change/", "/admin/auth/user/{*object_id}/change"),
        ("/admin/auth/group/a/b/history/", "/admin/auth/group/{*object_id}/history"),
        ("/admin/r/5/7/", "/admin/r/{content_type_id}/{*object_id}"),
        ("/admin/what/ever", "/admin/{*url}"),
        ("/wp-login.php", "_UNMATCHED"),
    ] {
        assert_eq!(label(path), expected, "{path}: {configuration}");
    }
}
