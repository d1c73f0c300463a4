variable "project" {
  description = "Project that pays and owns everything here"
  type        = string
}

variable "region" {
  description = "Region of buckets, images and jobs: all in one, or traffic is paid"
  type        = string
  default     = "europe-west4"
}

variable "image_tag" {
  description = "Tag of the image stylebeam in the registry"
  type        = string
}

variable "schedule" {
  description = "When the job begins, as in cron"
  type        = string
  default     = "30 2 * * *"
}

variable "time_zone" {
  description = "Time zone of the schedule"
  type        = string
  default     = "Etc/UTC"
}

variable "machine_type" {
  description = "Machines of the workers"
  type        = string
  default     = "n2-standard-4"
}

variable "max_workers" {
  description = "Most machines at once: with the price of one, the most an hour can cost"
  type        = number
  default     = 16
}

variable "alert_email" {
  description = "Who is told when a run fails"
  type        = string
}
