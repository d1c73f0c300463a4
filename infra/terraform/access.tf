# As what the launcher and the workers of a job run.
resource "google_service_account" "worker" {
  account_id   = "stylebeam-worker"
  display_name = "stylebeam: launcher and workers"
}

# As what the scheduler starts a job; it reads no picture.
resource "google_service_account" "scheduler" {
  account_id   = "stylebeam-scheduler"
  display_name = "stylebeam: starts the nightly job"
}

resource "google_project_iam_member" "worker_works" {
  project = var.project
  role    = "roles/dataflow.worker"
  member  = google_service_account.worker.member
}

# The launcher asks Dataflow for the job's state.
resource "google_project_iam_member" "worker_launches" {
  project = var.project
  role    = "roles/dataflow.developer"
  member  = google_service_account.worker.member
}

resource "google_project_iam_member" "scheduler_launches" {
  project = var.project
  role    = "roles/dataflow.developer"
  member  = google_service_account.scheduler.member
}

# Both start machines that run as the worker, and as nobody else.
resource "google_service_account_iam_member" "runs_as_worker" {
  for_each = {
    scheduler = google_service_account.scheduler.member
    worker    = google_service_account.worker.member
  }
  service_account_id = google_service_account.worker.name
  role               = "roles/iam.serviceAccountUser"
  member             = each.value
}

resource "google_artifact_registry_repository_iam_member" "worker_pulls" {
  repository = google_artifact_registry_repository.images.name
  location   = var.region
  role       = "roles/artifactregistry.reader"
  member     = google_service_account.worker.member
}

resource "google_storage_bucket_iam_member" "worker_reads" {
  for_each = {
    input     = google_storage_bucket.input.name
    templates = google_storage_bucket.templates.name
  }
  bucket = each.value
  role   = "roles/storage.objectViewer"
  member = google_service_account.worker.member
}

# Objects only: the worker cannot change who may see them.
resource "google_storage_bucket_iam_member" "worker_writes" {
  for_each = {
    output    = google_storage_bucket.output.name
    temporary = google_storage_bucket.temporary.name
  }
  bucket = each.value
  role   = "roles/storage.objectUser"
  member = google_service_account.worker.member
}

resource "google_storage_bucket_iam_member" "scheduler_reads_templates" {
  bucket = google_storage_bucket.templates.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.scheduler.member
}
