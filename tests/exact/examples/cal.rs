use route_metrics_exact::*;
fn main() {
    let bytes = std::fs::read(std::env::args().nth(1).unwrap()).unwrap();
    let mut g = Guest::with(&bytes, World::get("/")).unwrap();
    g.look();
    g.tick(1).unwrap();
    println!("{:?}", g.look());
}
